"""The webhook inbox: what the processor told us, what became of it, and what a person does with a dead event."""

from collections.abc import Callable
from typing import cast

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.translation import gettext, gettext_lazy

from billing.models import StripeEvent
from billing.services.stripe_events import dismiss_event, replay_event
from tenancy.admin import GuardedAdmin, ask_first
from tenancy.models import User


@admin.register(StripeEvent)
class StripeEventAdmin(GuardedAdmin):
    view_permission = "event.replay"
    list_display = ("id", "type", "object_id", "state", "attempts", "received_at", "last_error")
    list_filter = ("state", "type")
    search_fields = ("=id", "=object_id", "=type")
    ordering = ("-received_at",)
    actions = ("replay", "dismiss")

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "event.replay")

    @admin.action(description=gettext_lazy("Replay dead events"), permissions=["replay"])
    def replay(self, request: HttpRequest, queryset: QuerySet[StripeEvent]) -> TemplateResponse | None:
        question = gettext("Process these dead events again?")
        page = ask_first(self, request, queryset, action="replay", question=question)
        if page is None:
            count = _each_dead(request, queryset, replay_event)
            self.message_user(request, gettext("%(count)d events run again.") % {"count": count}, messages.SUCCESS)
        return page

    @admin.action(description=gettext_lazy("Put dead events aside"), permissions=["replay"])
    def dismiss(self, request: HttpRequest, queryset: QuerySet[StripeEvent]) -> TemplateResponse | None:
        question = gettext("Put these dead events aside for good? Do this only when they are not about your customers.")
        page = ask_first(self, request, queryset, action="dismiss", question=question)
        if page is None:
            count = _each_dead(request, queryset, dismiss_event)
            self.message_user(request, gettext("%(count)d events put aside.") % {"count": count}, messages.SUCCESS)
        return page


def _each_dead(request: HttpRequest, queryset: QuerySet[StripeEvent], act: Callable[..., bool]) -> int:
    """Do something with every dead event of a selection; return with how many."""
    dead = list(queryset.filter(state=StripeEvent.State.DEAD).values_list("pk", flat=True))
    return sum(act(event_id=event_id, actor=cast(User, request.user)) for event_id in dead)
