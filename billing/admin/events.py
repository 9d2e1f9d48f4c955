"""The webhook inbox: what the processor told us, and what became of it."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.translation import gettext, gettext_lazy

from billing.admin.base import ask_first
from billing.models import StripeEvent
from billing.services.stripe_events import replay_event
from tenancy.admin import GuardedAdmin


@admin.register(StripeEvent)
class StripeEventAdmin(GuardedAdmin):
    view_permission = "event.replay"
    list_display = ("id", "type", "object_id", "state", "attempts", "received_at", "last_error")
    list_filter = ("state",)
    search_fields = ("=id", "=object_id", "=type")
    ordering = ("-received_at",)
    actions = ("replay",)

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "event.replay")

    @admin.action(description=gettext_lazy("Replay dead events"), permissions=["replay"])
    def replay(self, request: HttpRequest, queryset: QuerySet[StripeEvent]) -> TemplateResponse | None:
        question = gettext("Process these dead events again?")
        page = ask_first(self, request, queryset, action="replay", question=question)
        if page is not None:
            return page
        dead = list(queryset.filter(state=StripeEvent.State.DEAD).values_list("pk", flat=True))
        for event_id in dead:
            replay_event(event_id=event_id)
        self.message_user(request, gettext("%(count)d events run again.") % {"count": len(dead)}, messages.SUCCESS)
        return None
