"""What every Change that edits Applications has in common: when it may be planned, and how it is written down.

One at a time: an edit is decided upon what runs, so nothing else may wait to be saved. What is planned later is decided
upon what it leaves. Source: docs/delivery.md.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from django.utils.translation import gettext as _

from catalyst.core import idempotency
from catalyst.core.errors import DomainError, NotFound
from marketplace.models import Application, ApplicationEdit, Change, EnvironmentPolicy
from marketplace.selectors.capacity import capacity_of, footprint_of, used_by
from marketplace.selectors.installed import (
    EDITS,
    current_applications,
    is_change_waiting,
    is_suspended,
    newest_log_sequence,
)
from marketplace.selectors.kept_data import check_not_purged
from marketplace.selectors.selection import CapacityExceeded
from marketplace.services import changes
from marketplace.services.changes_desired import environment_facts
from marketplace.services.changes_values import told_values
from marketplace.services.host_claims import claim_hosts
from marketplace.services.typed_secrets import take_typed_secrets
from tenancy.models import Environment, User
from tenancy.selectors.organization_state import check_accepts_changes, check_active
from tenancy.services.audit import append_audit, organization_stream


class EnvironmentSuspended(DomainError):
    """Nothing runs here until what is due is paid."""

    code = "environment_suspended"
    status = HTTPStatus.CONFLICT


class ChangeInProgress(DomainError):
    """Another Change of this Environment is not saved yet."""

    code = "change_in_progress"
    status = HTTPStatus.CONFLICT


class PreviewRequired(DomainError):
    """The Environment has rules, so a Change is looked at first."""

    code = "preview_required"
    status = HTTPStatus.CONFLICT


@dataclass(frozen=True, slots=True)
class EditPlan:
    """``edits`` and ``added`` are not saved yet; ``footprint_rows`` are all Applications as they would be."""

    edits: list[ApplicationEdit]
    added: list[Application]
    rows: list[Application]
    summary: str


def lock_environment(environment: Environment) -> Environment:
    """Lock the Environment's row, so that plans follow each other; call inside a transaction."""
    environments = Environment.objects.select_related("organization").select_for_update(of=("self",), no_key=True)
    return environments.get(pk=environment.pk)


def find_repeated(environment: Environment, *, kind: str, key: str, body: Any) -> Change | None:
    """Return the Change that this key asked for before; an empty key never did.

    :raises IdempotencyKeyReused: it asked for something else.
    """
    if not key:
        return None
    stored = idempotency.find(scope=_scope(environment), key=key, fingerprint=_fingerprint(kind, environment, body))
    return Change.objects.get(pk=stored.subject) if stored else None


def check_open(environment: Environment) -> list[Application]:
    """Return what is installed, by name, when Changes can be made to it; who is to make one has the Environment locked.

    What an installation that failed left behind is among it, because its names are taken.

    :raises EnvironmentSuspended: nothing runs here.
    :raises ChangeInProgress: another Change waits to be saved.
    :raises NotFound: nothing is installed.
    """
    rows = check_calm(environment)
    if not any(row.change.commit for row in rows):
        raise NotFound(_("Nothing is installed in this Environment."))
    return rows


def check_calm(environment: Environment) -> list[Application]:
    """Return what is installed, by name, possibly nothing, when Changes can be made.

    :raises EnvironmentSuspended: nothing runs here. :raises ChangeInProgress: another Change waits to be saved.
    :raises EnvironmentDeleting, OrganizationSuspended, OrganizationDeleting: nothing new begins here.
    """
    check_accepts_changes(environment)
    check_active(environment.organization)
    if is_suspended(environment.pk):
        text = _("This Environment is suspended. Pay what is due, then change its Applications.")
        raise EnvironmentSuspended(text)
    if is_change_waiting(environment.pk):
        text = _("Another change of this Environment is being saved. Try again in a moment.")
        raise ChangeInProgress(text, retry_after=5)
    return list(current_applications(environment.pk))


def check_outcome(environment: Environment, before: Iterable[Application], after: Iterable[Application]) -> None:
    """Refuse what the Plan of the Environment does not hold, and what contradicts another Application.

    What is too much already may stay so: a fix that takes no more is never refused for its size.

    :raises CapacityExceeded: with what would be used and what there is.
    :raises ManifestsRefused: two tell a service different things, or one that does not fit.
    """
    rows = list(after)
    told_values(environment_facts(environment), rows)
    capacity = capacity_of(environment)
    used = used_by(map(footprint_of, rows))
    if capacity is not None and not used.fits(capacity) and not used.fits(used_by(map(footprint_of, before))):
        text = _("Your Plan is too small for this. Choose a larger Plan first, or remove an Application.")
        raise CapacityExceeded(text, extra={"used": used.as_json(), "capacity": capacity.as_json()})


def record_plan(
    environment: Environment,
    plan: EditPlan,
    *,
    kind: str,
    actor: User,
    reason: str,
    now: datetime,
    key: str,
    body: Any,
    asked_by: User | None = None,
    **fields: Any,
) -> Change:
    """Write one Change with its edits and new rows, its event and its audit entry; a step.

    ``asked_by`` is who had it made when that is not its author; ``fields`` are further columns.
    """
    assert kind in EDITS
    if kind in (Change.Kind.UPGRADE, Change.Kind.CONFIGURE) and has_rules(environment):
        raise PreviewRequired(_("This Environment has rules. Make a preview of the change, then apply that."))
    check_not_purged(environment.pk, [row.slug for row in plan.added])
    claim_hosts(environment, plan.edits, plan.added)
    columns = {"deadline_at": now + changes.DEADLINE, "base_commit": environment.head_commit, **fields}
    change = Change.objects.create(
        organization=environment.organization,
        environment=environment,
        kind=kind,
        author=actor,
        log_sequence=newest_log_sequence(environment.pk),
        summary=plan.summary,
        reason=reason,
        **columns,
    )
    _save_rows(plan, change)
    take_typed_secrets(plan.added, buyer=actor, now=now)
    _tell_planned(change, plan, asked_by=asked_by or actor)
    if key:
        fingerprint = _fingerprint(kind, environment, body)
        idempotency.claim(scope=_scope(environment), key=key, fingerprint=fingerprint, subject=str(change.pk))
    return change


def _save_rows(plan: EditPlan, change: Change) -> None:
    for row in plan.added:
        row.change = change
    Application.objects.bulk_create(plan.added)
    for edit in plan.edits:
        edit.change = change
    ApplicationEdit.objects.bulk_create(plan.edits)


def _tell_planned(change: Change, plan: EditPlan, *, asked_by: User) -> None:
    slugs = sorted([*(edit.application.slug for edit in plan.edits), *(row.slug for row in plan.added)])
    changes.publish(change, "change.created", applications=slugs, summary=plan.summary)
    append_audit(
        stream=organization_stream(change.organization),
        actor=asked_by,
        action="change.requested",
        target=f"change:{change.pk}",
        detail={"kind": change.kind, "environment": change.environment.name, "applications": slugs},
    )


def has_rules(environment: Environment) -> bool:
    """Tell whether rules say when this Environment may change."""
    return EnvironmentPolicy.objects.filter(environment=environment).exclude(rules=[]).exists()


def _scope(environment: Environment) -> str:
    return f"change:{environment.pk}"


def _fingerprint(kind: str, environment: Environment, body: Any) -> bytes:
    return idempotency.fingerprint(method=kind, path=str(environment.uuid), body=body)
