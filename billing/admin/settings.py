"""The Sovereign's processor keys: changed one by one, never shown."""

from typing import Any, cast

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from billing.admin.forms import BillingSettingsForm
from billing.models import BillingSettings
from billing.services.settings import SECRETS, secret_state, update_billing_settings
from catalyst.core.errors import DomainError
from tenancy.admin import GuardedAdmin
from tenancy.models import User

_PAGE = "admin:billing_billingsettings_changelist"


@admin.register(BillingSettings)
class BillingSettingsAdmin(GuardedAdmin):
    """One row, so the list is the form."""

    view_permission = "settings.payment"
    change_permission = "settings.payment"

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not self.has_change_permission(request):
            raise PermissionDenied
        form = BillingSettingsForm(request.POST or None)
        if form.is_valid() and self._save(request, form):
            return redirect(_PAGE)
        context = {
            **self.admin_site.each_context(request),
            **(extra_context or {}),
            "title": BillingSettings._meta.verbose_name,
            "opts": self.opts,
            "form": form,
            "states": {form.fields[name].label: secret_state(name) for name in SECRETS},
            "publishable_key": BillingSettings.objects.values_list("stripe_publishable_key", flat=True).first(),
        }
        status = 422 if form.errors else 200
        return TemplateResponse(request, "admin/billing/settings.html", context, status=status)

    def change_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return redirect(_PAGE)

    def _save(self, request: HttpRequest, form: BillingSettingsForm) -> bool:
        changes = form.changes()
        try:
            if changes:
                update_billing_settings(changes=changes, actor=cast(User, request.user))
        except DomainError as error:
            form.add_error(error.pointer.strip("/") or None, error.message)
            return False
        self.message_user(request, _("Saved.") if changes else _("Nothing was changed."), messages.SUCCESS)
        return True
