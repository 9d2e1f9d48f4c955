"""How far an order is, for its page: paid, its Environment, each Application, ready. Read from the projection."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Max
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from billing.models import CheckoutEvent, Order
from catalyst.core.models import Outbox
from marketplace.models import ApplicationStatus
from marketplace.selectors.applications import order_timeline

_LABELS: dict[str, str | Promise] = {
    "payment": _("Payment"),
    "environment": _("Environment"),
    "applications": _("Apps"),
    "ready": _("Ready"),
}
_CLOSED = {Order.State.CANCELLED, Order.State.REFUNDED}
_DONE = {"paid", "succeeded"}


@dataclass(frozen=True, slots=True)
class ProgressStep:
    """One step of the timeline; ``state`` is a word of the status vocabulary, ``at`` when it was reached."""

    key: str
    label: str | Promise
    state: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class OrderProgress:
    """``applications`` are rows of the projection, what was bought first and the services it brings after."""

    steps: Sequence[ProgressStep]
    applications: Sequence[ApplicationStatus]
    environment: str
    commit: str
    reason: str

    @property
    def ready_count(self) -> int:
        return sum(row.status == ApplicationStatus.Status.READY for row in self.applications)

    @property
    def is_ready(self) -> bool:
        return self.steps[-1].state == "succeeded"

    @property
    def is_over(self) -> bool:
        """Whether nothing more is expected to happen by itself."""
        return self.is_ready or self.steps[-1].state == "failed" or self.steps[0].state in _CLOSED

    @property
    def position(self) -> int:
        """The number of the step that is at work, from 1."""
        return min(sum(step.state in _DONE for step in self.steps) + 1, len(self.steps))


def order_progress(order: Order) -> OrderProgress:
    """Return the progress of one order that ``list_all_orders`` has read."""
    paid = CheckoutEvent.objects.filter(checkout_id=order.checkout_id, to_state="completed").first()
    if _installs_nothing(order):
        return _progress_of_payment(order, paid.at if paid else None)
    timeline = order_timeline(order.organization.organization, order.number, paid_at=paid.at if paid else None)
    is_closed = order.state in _CLOSED
    return OrderProgress(
        steps=[
            ProgressStep(
                step.key,
                _LABELS[step.key],
                order.state if is_closed and step.key == "payment" else step.status,
                step.at,
            )
            for step in timeline.steps
        ],
        applications=timeline.applications,
        environment=timeline.environment,
        commit=timeline.commit,
        reason=timeline.status_reason,
    )


def _installs_nothing(order: Order) -> bool:
    """Tell whether this is a change of a subscription that brings no Application."""
    return order.checkout.change_id is not None and all(line.kind != "blueprint" for line in order.lines.all())


def _progress_of_payment(order: Order, paid_at: datetime | None) -> OrderProgress:
    payment = order.state if order.state in _CLOSED else "paid" if paid_at else "pending_payment"
    ready = "succeeded" if payment == "paid" else "pending"
    steps = [
        ProgressStep("payment", _LABELS["payment"], payment, paid_at),
        ProgressStep("ready", _LABELS["ready"], ready, paid_at),
    ]
    return OrderProgress(steps=steps, applications=(), environment="", commit="", reason="")


def last_sequence() -> int:
    """Return the newest event: a live view that starts after it misses nothing."""
    return Outbox.objects.aggregate(last=Max("sequence"))["last"] or 0
