"""How far an order is: paid, its Environment, each Application, ready. Read from projections, never from a cluster."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Max
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from billing.models import CheckoutEvent, Order
from catalyst.core.models import Outbox
from marketplace.models import ApplicationStatus, Change

_UNDONE = {Order.State.CANCELLED: "cancelled", Order.State.REFUNDED: "refunded"}


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the timeline; ``state`` is a word of the status vocabulary, ``at`` when it ended."""

    key: str
    label: str | Promise
    state: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class OrderProgress:
    """``applications`` are rows of the projection, what was bought first and the services it brings after."""

    steps: Sequence[Step]
    applications: Sequence[ApplicationStatus]
    environment: str = ""
    commit: str = ""
    reason: str = ""

    @property
    def ready_count(self) -> int:
        return sum(row.status == ApplicationStatus.Status.READY for row in self.applications)

    @property
    def is_ready(self) -> bool:
        return self.steps[-1].state == "succeeded"

    @property
    def is_over(self) -> bool:
        """Whether nothing more is expected to happen by itself."""
        return self.is_ready or any(step.state in {"failed", "cancelled", "refunded"} for step in self.steps)

    @property
    def position(self) -> int:
        """The number of the step that is at work, from 1."""
        done = sum(step.state == "succeeded" for step in self.steps)
        return min(done + 1, len(self.steps))


def order_progress(order: Order) -> OrderProgress:
    """Return the progress of one order; three short queries."""
    rows = ApplicationStatus.objects.filter(organization_id=order.organization_id, order_number=order.number)
    applications = list(rows.order_by("is_service", "application"))
    changes = Change.objects.filter(organization_id=order.organization_id, order_number=order.number)
    change = changes.select_related("environment").first()
    return OrderProgress(
        steps=[
            _payment(order),
            _environment(order, change),
            *_installation(order, change, applications),
        ],
        applications=applications,
        environment=change.environment.name if change else "",
        commit=change.commit if change else "",
        reason=change.status_reason if change else "",
    )


def last_sequence() -> int:
    """Return the newest event: a live view that starts after it misses nothing."""
    return Outbox.objects.aggregate(last=Max("sequence"))["last"] or 0


def _payment(order: Order) -> Step:
    paid = CheckoutEvent.objects.filter(checkout_id=order.checkout_id, to_state="completed").first()
    states = {Order.State.PAID: "succeeded", Order.State.PENDING_PAYMENT: "pending_payment", **_UNDONE}
    return Step("payment", _("Payment"), states[Order.State(order.state)], paid.at if paid else None)


def _environment(order: Order, change: Change | None) -> Step:
    if change is not None and change.commit:
        return Step("environment", _("Environment"), "succeeded", change.committed_at)
    return Step("environment", _("Environment"), _waiting(order, change))


def _installation(order: Order, change: Change | None, rows: Sequence[ApplicationStatus]) -> list[Step]:
    is_done = change is not None and change.state == Change.State.SUCCEEDED
    is_committed = change is not None and bool(change.commit)
    all_ready = bool(rows) and all(row.status == ApplicationStatus.Status.READY for row in rows)
    observed = max((row.observed_at for row in rows if row.observed_at), default=None)
    if is_done or all_ready:
        finished = (change.finished_at if change else None) or observed
        return [
            Step("apps", _("Apps"), "succeeded", observed or finished),
            Step("ready", _("Ready"), "succeeded", finished),
        ]
    has_failed = any(row.status == ApplicationStatus.Status.FAILED for row in rows)
    state = "failed" if has_failed else _waiting(order, change) if is_committed else "pending"
    return [Step("apps", _("Apps"), state), Step("ready", _("Ready"), "pending")]


def _waiting(order: Order, change: Change | None) -> str:
    if change is not None and change.state == Change.State.FAILED:
        return "failed"
    return "running" if order.state == Order.State.PAID else "pending"
