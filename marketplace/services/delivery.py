"""From a paid Order to a planned Change: once per Order, however often the message arrives.

Source: docs/delivery.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any

import structlog
from django.db import transaction
from django.utils.translation import gettext as _

from catalyst.core.database import use_case
from catalyst.core.errors import DomainError
from marketplace.models import Application, Change
from marketplace.selectors.installed import is_offboarded_since, is_suspended
from marketplace.selectors.kept_data import check_not_purged
from marketplace.services import changes
from marketplace.services.change_previews import take_paid
from marketplace.services.changes_commit import commit_changes
from marketplace.services.delivery_plan import Plan, plan_applications
from marketplace.services.host_claims import claim_hosts
from marketplace.services.typed_secrets import take_typed_secrets
from tenancy.models import Environment, Organization, User
from tenancy.selectors.organization_state import check_accepts_changes
from tenancy.services.environments import ensure_environment

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PaidOrder:
    """What ``order.paid`` says. ``config`` maps a Blueprint's name to what the buyer set for it.

    ``log_sequence`` is the event's place in the log. An order that changes a subscription may bring no Blueprint.
    """

    number: str
    organization_id: int
    buyer_id: int
    env_type: str
    blueprints: tuple[str, ...]
    config: Mapping[str, Any] = field(default_factory=dict)
    log_sequence: int = 0
    is_change: bool = False
    #: What was scheduled for the end of a period comes without an order: then the event that brings it names it.
    cause: str = ""
    #: The preview that was bought: exactly that is installed, while it is what would happen.
    preview: str = ""

    @property
    def has_nothing_to_install(self) -> bool:
        return self.is_change and not self.blueprints


class InstallationNotPlanned(DomainError):
    """The Order is paid and cannot be planned today: its Change shows why, and the event is tried again."""

    code = "installation_not_planned"
    status = HTTPStatus.CONFLICT


def paid_order(payload: Mapping[str, Any], *, log_sequence: int) -> PaidOrder:
    """Read the event's payload."""
    return PaidOrder(
        number=payload["order"],
        organization_id=payload["organization"],
        buyer_id=payload["buyer"],
        env_type=payload["env_type"],
        blueprints=tuple(payload["blueprints"]),
        config=payload.get("config") or {},
        log_sequence=log_sequence,
        is_change=bool(payload.get("change")),
        preview=payload.get("preview") or "",
    )


def scheduled_order(payload: Mapping[str, Any], *, cause: str, log_sequence: int) -> PaidOrder | None:
    """Read what ``subscription.changed`` installs at the end of a period; None when that is nothing."""
    if not payload.get("install"):
        return None
    return PaidOrder(
        number="",
        organization_id=payload["organization"],
        buyer_id=payload["user"],
        env_type=payload["env_type"],
        blueprints=tuple(payload["install"]),
        config=payload.get("config") or {},
        log_sequence=log_sequence,
        cause=f"{cause}:install",
    )


@use_case
def plan_installation(*, order: PaidOrder, now: datetime) -> Change:
    """Make the Environment when it is missing, one Change for the Order, and the rows of its Applications.

    A repetition finds the Change. A Change that could not be planned is tried again.

    :raises InstallationNotPlanned: the Organization is being deleted, or is deleted: nothing is made for it any more.
    """
    organization = Organization.objects.get(pk=order.organization_id)
    if organization.state in {Organization.State.DELETING, Organization.State.DELETED}:
        raise InstallationNotPlanned(_("This organization is being deleted, so nothing new can begin in it."))
    buyer = User.objects.get(pk=order.buyer_id)
    ensured = ensure_environment(organization=organization, env_type=order.env_type, actor=buyer, now=now)
    # Plans of one Environment follow each other, so that both see the names and services that are taken.
    environments = Environment.objects.select_related("organization").select_for_update(of=("self",), no_key=True)
    environment = environments.get(pk=ensured.pk)
    change = _change_of_order(order)
    if change is not None and not _is_unplanned(change):
        return change
    if change is None and is_offboarded_since(environment.pk, order.log_sequence):
        reason = _("The subscription ended before this was installed.")
        return _record_refusal(None, environment, order, buyer, reason=reason, now=now)
    if order.preview and (previewed := _take_previewed(environment, order, buyer, now=now)):
        return previewed
    try:
        with transaction.atomic(savepoint=True):
            check_accepts_changes(environment)
            plan = plan_applications(
                environment=environment, blueprints=order.blueprints, config=order.config, buyer=buyer, now=now
            )
            check_not_purged(environment.pk, [row.slug for row in plan.added])
            claim_hosts(environment, (), plan.added)
    except DomainError as error:
        return _record_refusal(change, environment, order, buyer, reason=error.message, now=now)
    return _record_plan(change, environment, order, buyer, plan, now=now)


def _take_previewed(environment: Environment, order: PaidOrder, buyer: User, *, now: datetime) -> Change | None:
    try:
        with transaction.atomic(savepoint=True):
            return take_paid(environment, preview_id=order.preview, order_number=order.number, actor=buyer, now=now)
    except DomainError:
        return None  # something has moved: what was bought is planned anew, as any order is


def _change_of_order(order: PaidOrder) -> Change | None:
    known = {"cause": order.cause} if order.cause else {"order_number": order.number}
    return Change.objects.filter(**known).first()


def _is_unplanned(change: Change) -> bool:
    """Tell whether the Change failed before it was planned, and is still to be."""
    is_open = change.state == Change.State.FAILED and changes.is_bare(change) and bool(change.install)
    return is_open and not is_offboarded_since(change.environment_id, change.log_sequence)


def _record_plan(
    change: Change | None, environment: Environment, order: PaidOrder, buyer: User, plan: Plan, *, now: datetime
) -> Change:
    if change is None:
        change = _new_change(environment, order, buyer, now=now, summary=plan.summary)
    else:
        changes.move(change, Change.State.COMMITTING, status_reason="", finished_at=None)
        change.summary, change.deadline_at = plan.summary, now + changes.DEADLINE
        change.save(update_fields=["summary", "deadline_at"])
    # Nothing that is installed while the Environment is suspended may run.
    is_stopped = is_suspended(environment.pk) or environment.organization.state != Organization.State.ACTIVE
    state = Application.State.PAUSED if is_stopped else Application.State.ACTIVE
    for row in plan.added:
        row.change, row.state = change, state
    Application.objects.bulk_create(plan.added)
    take_typed_secrets(plan.added, buyer=buyer, now=now)
    Application.objects.bulk_update(plan.extended, ["requested_by"])
    # Planned at the second attempt is a fact of its own.
    times = 0 if change.attempts == 0 else change.attempts
    slugs = [row.slug for row in plan.added]
    changes.publish(change, "change.created", times=times, applications=slugs, summary=plan.summary)
    return change


def _record_refusal(
    change: Change | None, environment: Environment, order: PaidOrder, buyer: User, *, reason: str, now: datetime
) -> Change:
    log.error("installation_not_planned", order=order.number, reason=reason, alarm=True)
    if change is not None:
        Change.objects.filter(pk=change.pk).update(status_reason=reason, attempts=change.attempts + 1)
        change.status_reason = reason
        return change
    change = _new_change(
        environment, order, buyer, now=now, state=Change.State.FAILED, status_reason=reason, finished_at=now, attempts=1
    )
    changes.publish_failure(change)
    return change


def _new_change(environment: Environment, order: PaidOrder, buyer: User, *, now: datetime, **fields: Any) -> Change:
    return Change.objects.create(
        organization=environment.organization,
        environment=environment,
        author=buyer,
        order_number=order.number,
        cause=order.cause,
        install=list(order.blueprints),
        log_sequence=order.log_sequence,
        deadline_at=now + changes.DEADLINE,
        **fields,
    )


def deliver_order(*, order: PaidOrder, owner: str, now: datetime) -> Change:
    """Install what an Order bought: plan its Change, then write it as one commit. Safe to repeat at any point.

    When another writer holds the Environment, that one writes this Change too.

    :raises InstallationNotPlanned: it cannot be planned today; said on the Change too.
    """
    change = plan_installation(order=order, now=now)
    if _is_unplanned(change):
        raise InstallationNotPlanned(change.status_reason)
    commit_changes(environment_id=change.environment_id, owner=owner, now=now)
    change.refresh_from_db()
    return change
