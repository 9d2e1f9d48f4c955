"""The staff's view of Changes: what failed is tried again."""

from typing import cast

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from catalyst.core.errors import DomainError
from marketplace.models import Change
from marketplace.services.changes import retry_change
from tenancy.admin import GuardedAdmin, ask_first
from tenancy.models import User


@admin.register(Change)
class ChangeAdmin(GuardedAdmin):
    """What installs, pauses and removes Applications; a failed one is tried again from here."""

    view_permission = "change.retry"
    list_display = ("summary", "organization", "environment", "kind", "state", "status_reason", "created_at")
    list_select_related = ("organization", "environment")
    list_filter = ("state", "kind")
    search_fields = ("=id", "=order_number", "=environment__name", "=organization__slug")
    ordering = ("-created_at",)
    actions = ("try_again",)

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "change.retry")

    @admin.action(description=gettext_lazy("Try again"), permissions=["retry"])
    def try_again(self, request: HttpRequest, queryset: QuerySet[Change]) -> HttpResponse | None:
        question = _("Try these changes again?")
        page = ask_first(self, request, queryset, action="try_again", question=question)
        if page is not None:
            return page
        for change in queryset:
            try:
                retry_change(change_id=change.pk, actor=cast(User, request.user), now=timezone.now())
            except DomainError as error:
                self.message_user(request, f"{change}: {error.message}", messages.ERROR)
            else:
                self.message_user(request, _("%(change)s is tried again.") % {"change": change}, messages.SUCCESS)
        return None
