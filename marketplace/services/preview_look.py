"""Plan a request and render what it would become: the half of a preview that asks Git. Nothing is kept.

Source: gitops.md §6 of the design; docs/changes.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError
from catalyst.core.gitops.repository import changes_between
from marketplace.manifests.facts import ManifestsRefused
from marketplace.manifests.paths import ALLOWED_PATHS
from marketplace.models import Application
from marketplace.selectors.capacity import capacity_of, footprint_of, used_by
from marketplace.selectors.change_costs import Cost, cost_of
from marketplace.services import policies
from marketplace.services.changes_desired import desired_files, environment_facts, texts_of
from marketplace.services.changes_repository import repository_of
from marketplace.services.changes_values import told_values
from marketplace.services.edits_configuration import NothingToChange
from marketplace.services.planner import plan_change
from marketplace.services.planner_request import ChangePlan, ChangeRequest, Problem
from tenancy.models import Environment, User


class ForeignHead(DomainError):
    """``main`` holds a commit that is not ours; an administrator adopts it or puts it back first."""

    code = "foreign_commit"
    status = HTTPStatus.CONFLICT


@dataclass(frozen=True, slots=True)
class Look:
    """A plan with the tree it would become. ``tree`` is empty when it cannot be rendered, which is a problem then."""

    plan: ChangePlan
    tree: str
    before: Mapping[str, bytes]
    after: Mapping[str, bytes]


def look_at(
    environment: Environment,
    rows: list[Application],
    request: ChangeRequest,
    *,
    actor: User,
    is_strict: bool = False,
    now: datetime,
) -> Look:
    """Return the plan with the tree that it would become; Git gets objects that nothing refers to.

    ``is_strict``: not even these when the plan has problems.

    :raises ForeignHead: somebody else wrote to the repository. :raises NothingToChange: it is so already.
    """
    repository = repository_of(environment)
    if (repository.head() or "") != environment.head_commit:
        text = _("The repository of %(environment)s holds a commit that is not ours. Adopt it or put it back first.")
        raise ForeignHead(text % {"environment": environment.name})
    plan = plan_change(environment, rows, request, actor=actor, now=now)
    has_texts = request.readme is not None or request.code_owners is not None
    if plan.is_empty and not has_texts and not request.put_back and not plan.problems:
        raise NothingToChange(_("Nothing was changed."))
    _check_capacity(environment, rows, plan)
    before = repository.read_tree(environment.head_commit) if environment.head_commit else {}
    try:
        told_values(environment_facts(environment), plan.rows)
        texts = texts_of(before, readme=request.readme, code_owners=request.code_owners)
        after = desired_files(environment, rows_in_tree(plan), readme=texts[0], code_owners=texts[1])
    except ManifestsRefused as error:
        if not plan.problems:
            plan.problems.append(Problem(error.code, error.pointer, error.message))
        return Look(plan, "", before, before)
    changed = changes_between(before, after)
    if plan.problems and (is_strict or not changed):
        return Look(plan, "", before, before)
    if not changed:
        raise NothingToChange(_("Nothing was changed."))
    tree = repository.write_tree(environment.head_commit or None, changed, allowed=ALLOWED_PATHS)
    return Look(plan, tree, before, after)


def rows_in_tree(plan: ChangePlan) -> list[Application]:
    """Return the Applications that the tree of a plan holds: installed ones, new ones, and what these are bound to."""
    known = {row.slug: row for row in plan.rows}
    new = {row.slug for row in plan.added}
    wanted = {row.slug: row for row in plan.rows if row.slug in new or row.change.commit}
    pending = list(wanted.values())
    while pending:
        bound = [known[slug] for slug in pending.pop().bindings.values() if slug in known and slug not in wanted]
        wanted |= {row.slug: row for row in bound}
        pending += bound
    return [wanted[slug] for slug in sorted(wanted)]


def _check_capacity(environment: Environment, rows: list[Application], plan: ChangePlan) -> None:
    capacity = capacity_of(environment)
    used = used_by(map(footprint_of, plan.rows))
    if capacity is not None and not used.fits(capacity) and not used.fits(used_by(map(footprint_of, rows))):
        text = _("Your Plan is too small for this. Choose a larger Plan first, or remove an Application.")
        plan.problems.append(Problem("capacity_exceeded", "/capacity", text))


def capacity_delta(environment: Environment, rows: list[Application], plan: ChangePlan) -> dict[str, Any]:
    """Return what is used before and after, and what the Plan gives."""
    capacity = capacity_of(environment)
    return {
        "before": used_by(map(footprint_of, rows)).as_json(),
        "after": used_by(map(footprint_of, plan.rows)).as_json(),
        "plan": capacity.as_json() if capacity else None,
    }


def cost_delta(environment: Environment, plan: ChangePlan, *, now: datetime) -> Cost | None:
    """Return what a plan costs, None where nothing is sold."""
    added = [row.blueprint_version.blueprint.name for row in plan.added if not row.requested_by]
    bought = {edit.application.slug for edit in plan.edits if edit.removes and not edit.application.requested_by}
    return cost_of(environment, added=added, removed=sorted(bought), now=now)


def subject_of_plan(plan: ChangePlan, actor: User, approvals: tuple[Any, ...]) -> policies.PolicySubject:
    """Return what the rules judge of a plan."""
    moved = [edit.blueprint_version for edit in plan.edits if _brings_bytes(edit)]
    digests = {version.digest for version in [*moved, *(row.blueprint_version for row in plan.added)]}
    return policies.PolicySubject(author_id=actor.pk, approvals=approvals, digests=frozenset(digests), kind=plan.kind)


def _brings_bytes(edit: Any) -> bool:
    return not edit.removes and edit.blueprint_version_id != edit.application.blueprint_version_id
