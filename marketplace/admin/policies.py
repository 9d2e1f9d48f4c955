"""The staff's view of the rules of Environments: whoever runs the Sovereign sets them here, by the service of the page.

The forms of the admin are wrapped in a transaction, which a use case refuses; so this page is its own.
"""

from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from catalyst.core.errors import DomainError
from marketplace.forms.policy import PolicyForm
from marketplace.models import EnvironmentPolicy
from marketplace.services.policies import source_names
from marketplace.services.policy_edits import save_policy
from tenancy.admin import GuardedAdmin
from tenancy.models import Environment, User

_LIST = "admin:marketplace_environmentpolicy_changelist"


class EnvironmentForm(forms.Form):
    """Whose rules, when there are none yet."""

    environment = forms.ModelChoiceField(
        label=gettext_lazy("Environment"), queryset=Environment.objects.none(), to_field_name="name"
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["environment"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = Environment.objects.filter(policy__isnull=True).order_by("name")


class DelegatedPolicyForm(PolicyForm):
    is_delegated = forms.BooleanField(
        label=gettext_lazy("Administrators of the Organization may edit these rules too."), required=False
    )


@admin.register(EnvironmentPolicy)
class EnvironmentPolicyAdmin(GuardedAdmin):
    """The rules of every Environment that has some."""

    view_permission = "environment_policy.manage"
    change_permission = "environment_policy.manage"
    add_permission = "environment_policy.manage"
    list_display = ("environment", "organization", "version", "is_delegated", "updated_by", "updated_at")
    list_select_related = ("environment", "organization", "updated_by")
    search_fields = ("=environment__name", "=organization__slug")
    ordering = ("environment__name",)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Ask whose rules, then show them as a form and save them."""
        if not self.may(request, self.change_permission):
            raise PermissionDenied
        policy = None
        if object_id is not None:
            key = object_id if object_id.isascii() and object_id.isdigit() else 0
            policy = get_object_or_404(EnvironmentPolicy.objects.select_related("environment__organization"), pk=key)
            environment = policy.environment
        else:
            asked = EnvironmentForm(request.GET or None)
            if not asked.is_valid():
                return self._page(request, asked, method="get", button=_("Continue"))
            environment = asked.cleaned_data["environment"]
        return self._edit(request, environment, policy)

    def _edit(self, request: HttpRequest, environment: Environment, policy: EnvironmentPolicy | None) -> HttpResponse:
        sources = source_names(environment)
        if request.method != "POST":
            shown = DelegatedPolicyForm(
                sources=sources,
                rules=policy.rules if policy else [],
                version=policy.version if policy else 0,
            )
            shown.initial["is_delegated"] = bool(policy and policy.is_delegated)
            return self._page(request, shown, environment=environment)
        form = DelegatedPolicyForm(request.POST, sources=sources)
        if form.is_valid() and self._save(request, environment, form):
            return redirect(_LIST)
        return self._page(request, form, environment=environment, status=422)

    def _save(self, request: HttpRequest, environment: Environment, form: DelegatedPolicyForm) -> bool:
        try:
            save_policy(
                environment=environment,
                rules=form.rules(),
                actor=cast(User, request.user),
                now=timezone.now(),
                version=form.cleaned_data["version"],
                is_delegated=form.cleaned_data["is_delegated"],
            )
        except DomainError as error:
            form.add_refusal(error)
            return False
        text = _("The rules of %(environment)s are saved.") % {"environment": environment.name}
        self.message_user(request, text, messages.SUCCESS)
        return True

    def _page(
        self,
        request: HttpRequest,
        form: forms.Form,
        *,
        environment: Environment | None = None,
        method: str = "post",
        button: str = "",
        status: int = 200,
    ) -> TemplateResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": environment.name if environment else _("Rules for changes"),
            "opts": self.opts,
            "form": form,
            "method": method,
            "button": button or _("Save the rules"),
        }
        return TemplateResponse(request, "admin/marketplace/environment_policy.html", context, status=status)
