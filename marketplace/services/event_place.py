"""Where in the event log we are: what is decided now is decided after everything that has a place there."""

from typing import Any

from django.db.models import Max

from catalyst.core.models import Outbox
from tenancy.models import Environment
from tenancy.services.audit import organization_stream

_SUBSCRIPTION = ("subscription.suspended", "subscription.resumed", "subscription.canceled")


def newest_sequence() -> int:
    """Return the place of the newest event that has one, 0 in an empty log."""
    return Outbox.objects.aggregate(last=Max("sequence"))["last"] or 0


def is_unpaid(environment: Environment, *, before: int) -> bool:
    """Tell whether the last word of the Environment's subscription, before this place, is that it is suspended."""
    said: Any = Outbox.objects.filter(
        stream=organization_stream(environment.organization),
        topic__in=_SUBSCRIPTION,
        payload__env_type=environment.env_type,
        sequence__lt=before,
    )
    newest: str | None = said.order_by("-sequence").values_list("topic", flat=True).first()
    return newest == "subscription.suspended"
