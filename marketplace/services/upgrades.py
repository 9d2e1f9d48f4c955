"""A person's upgrade: which Applications move to which versions, as one Change that becomes one commit.

Only what was asked moves, and what that forces; nothing moves back, to another source, or across what a version
refuses. Source: docs/delivery.md; blueprints.md §5 of the design.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from http import HTTPStatus

from django.utils.translation import gettext as _

from catalyst.core.database import use_case
from catalyst.core.errors import DomainError, NotFound
from marketplace.models import Application, ApplicationEdit, Change
from marketplace.selectors.blueprint_index import candidate_of
from marketplace.selectors.resolver import Index, Moves, Obstacle, find_obstacle
from marketplace.selectors.upgrade_question import index_for, solve_upgrade
from marketplace.selectors.version_ranges import is_allowed, parse_range
from marketplace.services.edits import (
    EditPlan,
    check_open,
    check_outcome,
    find_repeated,
    lock_environment,
    record_plan,
)
from marketplace.services.edits_config import check_carried_over
from marketplace.services.edits_plan import Wish, edit_rows, named
from tenancy.models import Environment, User


class AlreadyNewest(DomainError):
    """Nothing can move: everything that was asked has the newest version it may have."""

    code = "already_newest"
    status = HTTPStatus.CONFLICT


class UpgradeBlocked(DomainError):
    """The wanted versions forbid the move from the one that runs."""

    code = "upgrade_blocked"
    status = HTTPStatus.CONFLICT


class RecreateNeeded(DomainError):
    """The wanted versions do not take over the one that runs."""

    code = "recreate_needed"
    status = HTTPStatus.CONFLICT


class Mode(StrEnum):
    #: What was asked, and what that forces.
    MINIMAL = "minimal"
    #: Everything, to the newest that is allowed.
    LATEST = "latest"


@dataclass(frozen=True, slots=True)
class UpgradeRequest:
    """Ranges by the name of the Application, empty for the range it has; none at all asks for every one."""

    applications: Mapping[str, str]
    mode: str = Mode.MINIMAL


@use_case
def plan_upgrade(
    *,
    environment: Environment,
    applications: Mapping[str, str],
    mode: str,
    actor: User,
    reason: str = "",
    now: datetime,
    key: str = "",
) -> Change:
    """Plan the Change that moves these Applications; its event has it written.

    ``applications`` maps names to version ranges, empty for the range that stands; an empty mapping means all of them.
    ``mode`` is ``minimal`` or ``latest``. The same ``key`` again finds the same Change.

    :raises AlreadyNewest: there is nothing to do. :raises UpgradeBlocked: :raises RecreateNeeded: the version asked for
        refuses the one that runs. :raises Unresolvable: the versions do not go together, with the reasons.
    :raises CapacityExceeded: the Plan is too small. :raises NotFound: an Application is not there.
    :raises EnvironmentSuspended: :raises ChangeInProgress: not now. :raises RangeRefused: not a version range.
    :raises ConfigurationRefused: a new version does not take the configuration. :raises ManifestsRefused: it tells a
        service what contradicts another Application.
    """
    environment = lock_environment(environment)
    body = {"applications": dict(applications), "mode": mode}
    if repeated := find_repeated(environment, kind=Change.Kind.UPGRADE, key=key, body=body):
        return repeated
    rows = check_open(environment)
    plan = preview_upgrade(environment, rows, UpgradeRequest(applications, mode), now=now)
    check_outcome(environment, rows, plan.rows)
    return record_plan(
        environment, plan, kind=Change.Kind.UPGRADE, actor=actor, reason=reason, now=now, key=key, body=body
    )


def preview_upgrade(
    environment: Environment, rows: list[Application], request: UpgradeRequest, *, now: datetime
) -> EditPlan:
    """Return what an upgrade would do; writes nothing. Refusals as in ``plan_upgrade``, without those of the moment."""
    ranges = _ranges(rows, request)
    index = index_for(environment.organization, now=now)
    _check_reachable(rows, ranges, index)
    moves = Moves.LATEST if request.mode == Mode.LATEST else Moves.MINIMAL
    lock = solve_upgrade(rows, ranges, index=index, moves=moves)
    wishes = {slug: Wish(range=wanted) for slug, wanted in ranges.items()}
    edited = edit_rows(environment, rows, lock, wishes)
    if not edited.edits and not edited.added:
        raise AlreadyNewest(_("Nothing to upgrade: there is no newer version that may be had."))
    for edit in edited.edits:
        check_carried_over(edit)
    return edited.with_summary(rows, _summary(edited.edits, edited.added))


def _ranges(rows: list[Application], request: UpgradeRequest) -> dict[str, str]:
    known = [row.slug for row in rows if row.change.commit]
    for slug, wanted in request.applications.items():
        if slug not in known:
            raise NotFound(_("%(name)s is not installed here.") % {"name": slug[:60]}, pointer=f"/applications/{slug}")
        if wanted:
            parse_range(wanted)
    return dict(request.applications) or dict.fromkeys(known, "")


def _check_reachable(rows: list[Application], ranges: Mapping[str, str], index: Index) -> None:
    """Refuse a range in which every version refuses the one that runs, with the word for it."""
    for row in rows:
        wanted, running = ranges.get(row.slug, ""), candidate_of(row.blueprint_version)
        if not wanted or is_allowed(running.version, wanted):
            continue
        found = [each for each in index.get(running.blueprint, ()) if is_allowed(each.version, wanted)]
        obstacles = {each.version: find_obstacle(running, each) for each in found}
        if not found or None in obstacles.values():
            continue
        words = {"name": row.slug, "blueprint": running.blueprint, "version": running.version, "range": wanted}
        pointer = f"/applications/{row.slug}"
        if Obstacle.RECREATE in obstacles.values():
            text = _(
                "%(blueprint)s %(range)s does not take over %(version)s, which %(name)s runs: recreate it. Install a "
                "new Application, move your data, and remove this one."
            )
            raise RecreateNeeded(text % words, pointer=pointer)
        if Obstacle.BLOCKED in obstacles.values():
            text = _("%(blueprint)s %(range)s cannot be reached from %(version)s, which %(name)s runs.")
            raise UpgradeBlocked(text % words, pointer=pointer)


def _summary(edits: list[ApplicationEdit], added: list[Application]) -> str:
    """Return the first line of the commit: what was bought, then what moves with it, then what comes along."""
    ordered = sorted(edits, key=lambda edit: (bool(edit.application.requested_by), edit.application.slug))
    moved = [f"{edit.application.slug} ({_step(edit)})" for edit in ordered]
    return f"upgrade {', '.join([*moved, *map(named, added)])}"


def _step(edit: ApplicationEdit) -> str:
    before, after = edit.application.blueprint_version, edit.blueprint_version
    name = after.blueprint.name
    if before.version != after.version:
        return f"{name} {before.version} → {after.version}"
    return f"{name} {after.version}, {edit.version_range}"
