"""Plans whose outcome is written down already: an older state of this Environment, or the state of another one.

A roll back restores lock and intent of the Applications that a commit touched, with their exact digests; it never
moves history. A promotion takes Blueprint, exact version and settings from the source and leaves what belongs to the
target. Source: gitops.md §4 and §7 of the design; docs/changes.md.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError, NotFound
from catalyst.core.gitops.repository import BareRepository
from marketplace.manifests.reading import STATED_PATHS, Stated, read_stated
from marketplace.models import Application, ApplicationEdit, BlueprintVersion, Change
from marketplace.selectors.edits import find_broken
from marketplace.selectors.installed import current_applications
from marketplace.selectors.own_hosts import OwnHosts
from marketplace.services.changes_repository import repository_of
from marketplace.services.configuration_rules import find_problems
from marketplace.services.edits_config import schema_of
from marketplace.services.edits_plan import Edited, named, rows_after
from marketplace.services.host_claims import find_host_problems
from marketplace.services.planner_request import ChangePlan, ChangeRequest, Problem
from tenancy.models import Environment


class RequestRefused(DomainError):
    """The parts of a request contradict each other."""

    code = "request_refused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True)
class Target:
    """One Application as it is to be."""

    version: BlueprintVersion
    range: str
    size: str
    config: Mapping[str, Any]
    bindings: Mapping[str, str]
    requested_by: tuple[str, ...]
    state: str


def plan_restoring(
    environment: Environment, rows: list[Application], request: ChangeRequest, *, now: datetime
) -> ChangePlan:
    """Return the plan of a roll back or a promotion. Arguments and refusals as in ``plan_change``."""
    del now
    if request.install or request.configure or request.upgrade or request.remove or request.pause or request.resume:
        raise RequestRefused(_("A roll back or a promotion is a change of its own; ask for the rest in another one."))
    if sum(map(bool, (request.revert, request.revert_to, request.promote_from))) > 1:
        raise RequestRefused(_("Roll back, or promote: one at a time."))
    plan = ChangePlan(kind=request.kind)
    if request.promote_from:
        targets = _promoted(environment, rows, request, plan)
    else:
        targets = _restored(environment, rows, request, plan)
    _plan_targets(environment, rows, targets, plan)
    return plan


# -- roll back -------------------------------------------------------------------------------------------------


def _restored(
    environment: Environment, rows: list[Application], request: ChangeRequest, plan: ChangePlan
) -> dict[str, Target | None]:
    repository = repository_of(environment)
    if request.revert:
        change = _committed_change(environment, request.revert)
        before, after = _stated(repository, change.base_commit), _stated(repository, change.commit)
        plan.reverts, title = str(change.pk), f"roll back #{change.seq}"
    else:
        change = _committed_change(environment, request.revert_to)
        before, after = _stated(repository, change.commit), _stated(repository, environment.head_commit)
        title = f"go back to #{change.seq}"
    touched = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    plan.summary = f"{title}: {', '.join(touched) or 'nothing'}"
    plan.reasons.update(dict.fromkeys(touched, _("It is as it was then.")))
    wanted = {name: before.get(name) for name in touched}
    known = {row.slug: row for row in rows if row.change.commit}
    versions = _find_versions(environment, [each for each in wanted.values() if each], plan)
    return {
        name: _target(stated, versions, known.get(name)) if stated else None
        for name, stated in wanted.items()
        if stated is None or _version_key(stated) in versions
    }


def _committed_change(environment: Environment, wanted: str) -> Change:
    """Return a saved Change of this Environment by its id or its commit.

    :raises NotFound: there is none.
    """
    changes = Change.objects.filter(environment=environment).exclude(commit="")
    try:
        found = changes.filter(pk=UUID(wanted)).first()
    except ValueError:
        found = changes.filter(commit=wanted).first()
    if found is None:
        raise NotFound(_("There is no such saved change in this Environment."), pointer="/revert")
    return found


def _stated(repository: BareRepository, commit: str) -> dict[str, Stated]:
    return read_stated(repository.read_tree(commit, matching=STATED_PATHS)) if commit else {}


# -- promotion -------------------------------------------------------------------------------------------------


def _promoted(
    environment: Environment, rows: list[Application], request: ChangeRequest, plan: ChangePlan
) -> dict[str, Target | None]:
    source = Environment.objects.filter(
        organization=environment.organization_id, env_type=request.promote_from
    ).exclude(pk=environment.pk)
    origin = source.select_related("organization").first()
    if origin is None or not origin.head_commit:
        raise NotFound(_("There is no other Environment of this type with a saved state."), pointer="/promote_from")
    here = {row.slug: row for row in rows if row.change.commit}
    there = {row.slug: row for row in current_applications(origin.pk) if row.change.commit}
    names = sorted(request.promote or there)
    for position, name in enumerate(names):
        if name not in there:
            text = _("%(name)s is not installed in %(environment)s.")
            raise NotFound(text % {"name": name[:60], "environment": origin.name}, pointer=f"/promote/{position}")
    plan.promoted_from = f"{origin.name}@{origin.head_commit}"
    base = _last_promotion(environment, origin)
    targets: dict[str, Target | None] = {}
    for name in names:
        row, own = there[name], here.get(name)
        config = _merged(row, own, base.get(name), request.values.get(name) or {}, plan)
        _check_bound(row, here, names, plan)
        targets[name] = Target(
            version=row.blueprint_version,
            range=row.version_range,
            size=own.size if own else row.size,
            config=config,
            bindings=row.bindings,
            requested_by=tuple(sorted({*(own.requested_by if own else ()), *row.requested_by}))
            if row.requested_by
            else (),
            state=own.state if own else Application.State.ACTIVE,
        )
    plan.summary = f"promote from {origin.name}: {', '.join(named(there[name]) for name in names)}"
    plan.reasons.update(dict.fromkeys(names, _("It runs so in %(environment)s.") % {"environment": origin.name}))
    return targets


def _last_promotion(environment: Environment, origin: Environment) -> dict[str, Stated]:
    """Return the source as it was when it was last promoted here; nothing when it never was."""
    changes = Change.objects.filter(environment=environment, promoted_from__startswith=f"{origin.name}@")
    last = changes.exclude(commit="").order_by("-seq").values_list("promoted_from", flat=True).first()
    return _stated(repository_of(origin), last.rpartition("@")[2]) if last else {}


def _merged(
    row: Application, own: Application | None, base: Stated | None, given: Mapping[str, Any], plan: ChangePlan
) -> dict[str, Any]:
    """Return the settings in the target: the source's, save those that stay behind, and those changed here alone."""
    schema = schema_of(row.blueprint_version)
    staying = _staying(schema)
    before = dict(own.config) if own else {}
    then = base.intent.config if base else {}
    config = {name: value for name, value in before.items() if name in staying}
    for name in sorted({*row.config, *before} - staying):
        theirs, ours, old = row.config.get(name), before.get(name), then.get(name)
        taken = theirs
        if own is not None and base is not None and ours != theirs and ours != old:
            taken = ours
            if theirs != old and name not in given:
                text = _("%(name)s: %(setting)s was changed in both Environments. Say which value it is to have.")
                words = {"name": row.slug, "setting": name}
                plan.problems.append(Problem("promotion_conflict", f"/values/{row.slug}/{name}", text % words))
        if taken is not None:
            config[name] = taken
    config |= given
    for problem in find_problems(schema, config, hosts=OwnHosts(row.organization_id, own)):
        place = f"{problem.place}: " if problem.place else ""
        text = f"{row.slug}: {place}{problem.message}"
        plan.problems.append(Problem("configuration", f"/values/{row.slug}/{problem.place}", text))
    return config


def _staying(schema: Mapping[str, Any]) -> set[str]:
    """Return the settings that belong to one Environment: they, and secrets, stay behind."""
    nodes = {
        name: node
        for branch in (schema, *(schema.get("oneOf") or ()))
        for name, node in (branch.get("properties") or {}).items()
    }
    return {
        name
        for name, node in nodes.items()
        if node.get("x-catalyst-env-specific") or node.get("x-catalyst-ui-hint") in {"password", "size-picker"}
    }


def _check_bound(row: Application, here: Mapping[str, Application], names: list[str], plan: ChangePlan) -> None:
    for alias, bound in sorted(row.bindings.items()):
        if bound not in here and bound not in names:
            text = _("%(name)s needs %(bound)s, which is not here. Promote %(bound)s in the same change.")
            words = {"name": row.slug, "bound": bound}
            plan.problems.append(Problem("binding_missing", f"/promote/{row.slug}/{alias}", text % words))


# -- both ------------------------------------------------------------------------------------------------------


def _find_versions(
    environment: Environment, stated: Iterable[Stated], plan: ChangePlan
) -> dict[tuple[str, str, str], BlueprintVersion]:
    """Return the stored versions that a tree names; what is gone, withdrawn or other bytes by now is a problem."""
    wanted = {_version_key(each): each for each in stated}
    rows = BlueprintVersion.objects.select_related("blueprint").filter(
        blueprint__name__in={name for _source, name, _version in wanted},
        version__in={version for _source, _name, version in wanted},
    )
    owners = {None, environment.organization_id}
    found = {
        (row.blueprint.source, row.blueprint.name, row.version): row
        for row in rows
        if row.blueprint.organization_id in owners
    }
    for key, each in sorted(wanted.items()):
        row, words = found.get(key), {"blueprint": each.intent.blueprint, "version": each.version}
        pointer = f"/{each.intent.application}"
        if row is None or row.digest != each.digest:
            found.pop(key, None)
            text = _("%(blueprint)s %(version)s is not in the catalogue any more as it was.")
            plan.problems.append(Problem("version_gone", pointer, text % words))
        elif row.yanked_at is not None:
            text = _("%(blueprint)s %(version)s was withdrawn by its publisher. Upgrade instead of going back.")
            plan.problems.append(Problem("version_yanked", pointer, text % words))
    return found


def _version_key(stated: Stated) -> tuple[str, str, str]:
    return stated.source, stated.intent.blueprint, stated.version


def _target(
    stated: Stated, versions: Mapping[tuple[str, str, str], BlueprintVersion], row: Application | None
) -> Target:
    intent = stated.intent
    was_bought = row is not None and not row.requested_by
    return Target(
        version=versions[_version_key(stated)],
        range=intent.constraint,
        size=intent.size or "small",
        config=intent.config,
        bindings=stated.bindings,
        requested_by=() if was_bought else stated.requested_by,
        state=intent.state or Application.State.ACTIVE,
    )


def _plan_targets(
    environment: Environment, rows: list[Application], targets: Mapping[str, Target | None], plan: ChangePlan
) -> None:
    known = {row.slug: row for row in rows if row.change.commit}
    edited = Edited()
    for name, target in sorted(targets.items()):
        row = known.get(name)
        if target is None and row is not None:
            edited.edits.append(_edit(row, _as_it_is(row), removes=True))
            plan.removed.append(name)
            if row.is_protected:
                text = _("%(name)s is protected from deletion. Lift its protection first.")
                plan.problems.append(Problem("protected", f"/{name}", text % {"name": name}))
        elif target is not None and row is None:
            edited.added.append(_new(environment, name, target))
        elif (
            target is not None
            and row is not None
            and replace(_as_it_is(row), requested_by=()) != replace(target, requested_by=())
        ):
            edited.edits.append(_edit(row, target))
    plan.edits, plan.added = edited.edits, edited.added
    plan.rows = rows_after(rows, edited)
    _check_whole(rows, plan)
    found = find_host_problems(environment, plan.edits, plan.added)
    plan.problems.extend(Problem("host_unavailable", f"/{name}", f"{name}: {text}") for name, text in found)


def _check_whole(rows: list[Application], plan: ChangePlan) -> None:
    """Note what would not hold together: a binding to nothing, a version that another one does not take."""
    after = {row.slug: row for row in plan.rows}
    for row in plan.rows:
        for bound in sorted(set(row.bindings.values()) - set(after)):
            text = _("%(name)s needs %(bound)s, which would not be there.") % {"name": row.slug, "bound": bound}
            plan.problems.append(Problem("needed", f"/{row.slug}", text))
    before = {row.slug: (row.blueprint_version_id, row.bindings) for row in rows if row.change.commit}
    changed = [*(edit.application.slug for edit in plan.edits), *(row.slug for row in plan.added)]
    broken = find_broken(after, changed, before)
    if broken is not None:
        row, wanted, target = broken
        text = _("%(name)s needs %(wanted)s, and %(other)s would be %(version)s.")
        words = {"name": row.slug, "wanted": wanted, "other": target.slug, "version": target.blueprint_version.version}
        plan.problems.append(Problem("unresolvable", f"/{row.slug}", text % words))


def _as_it_is(row: Application) -> Target:
    return Target(
        row.blueprint_version,
        row.version_range,
        row.size,
        row.config,
        row.bindings,
        tuple(row.requested_by),
        row.state,
    )


def _edit(row: Application, target: Target, *, removes: bool = False) -> ApplicationEdit:
    return ApplicationEdit(
        organization_id=row.organization_id,
        application=row,
        blueprint_version=target.version,
        version_range=target.range,
        size=target.size,
        config=dict(target.config),
        bindings=dict(target.bindings),
        requested_by=list(target.requested_by),
        state=target.state if target.state != row.state else "",
        removes=removes,
    )


def _new(environment: Environment, name: str, target: Target) -> Application:
    return Application(
        organization_id=environment.organization_id,
        environment=environment,
        slug=name,
        blueprint_version=target.version,
        version_range=target.range,
        size=target.size,
        config=dict(target.config),
        bindings=dict(target.bindings),
        requested_by=list(target.requested_by),
        state=target.state,
    )
