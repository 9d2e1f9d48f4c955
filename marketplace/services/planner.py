"""The one planner: from what a person asks to edits, new Applications, and everything a preview says of them.

Pages, API, Git pushes and promotions all pass here. Nothing is written. What cannot be understood is refused; what
could be mended is a problem of the plan, so that a person sees all of them at once.
Source: gitops.md §6 of the design; docs/changes.md.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError, NotFound
from marketplace.models import Application, ApplicationEdit
from marketplace.selectors.blueprint_index import candidate_of
from marketplace.selectors.own_hosts import OwnHosts
from marketplace.selectors.removal import find_removal
from marketplace.selectors.resolver import Choice, Moves, Options, Root, find_obstacle, solve
from marketplace.selectors.upgrade_question import index_for, lock_of, roots_of
from marketplace.selectors.version_ranges import is_allowed, parse_range
from marketplace.services.configuration_rules import find_problems
from marketplace.services.delivery_plan import name_roots
from marketplace.services.edits_config import check_carried_over, check_immutable, schema_of
from marketplace.services.edits_plan import Edited, Wish, edit_rows, rows_after
from marketplace.services.planner_request import ChangePlan, ChangeRequest, Install, Problem
from marketplace.services.planner_restore import plan_restoring
from marketplace.services.planner_words import summary_of
from tenancy.models import Environment, User


def plan_change(
    environment: Environment, rows: list[Application], request: ChangeRequest, *, actor: User, now: datetime
) -> ChangePlan:
    """Return what a request would make of the Applications of an Environment.

    ``rows`` are those that stand, as ``selectors.installed.current_applications`` gives them.

    :raises NotFound: it names an Application, Change or Environment that is not there.
    :raises Unresolvable: the versions do not go together, with the reasons.
    :raises RangeRefused: not a version range. :raises RequestRefused: its parts contradict each other.
    """
    if request.put_back:
        return ChangePlan(kind=request.kind, summary="put back what others wrote", rows=rows_after(rows, Edited()))
    if request.kind != "change":
        return plan_restoring(environment, rows, request, now=now)
    return _Asked(environment, rows, request, actor, now).plan()


class _Asked:
    """One planning of installs, configurations, upgrades, removals, pauses and resumptions together."""

    def __init__(
        self, environment: Environment, rows: list[Application], request: ChangeRequest, actor: User, now: datetime
    ) -> None:
        self.environment, self.rows, self.request, self.actor = environment, rows, request, actor
        self.known = {row.slug: row for row in rows if row.change.commit}
        self.index = index_for(environment.organization, now=now)
        self.result = ChangePlan(kind=request.kind)

    def plan(self) -> ChangePlan:
        self._check_names()
        gone = self._find_gone()
        left = [row for row in self.rows if row.slug not in gone]
        installs = self._named_installs()
        wishes = self._wishes(installs)
        edited = self._resolve(left, installs, wishes)
        self._set_states(edited, {row.slug: row for row in left})
        edited.edits.extend(_removal(self.known[slug]) for slug in sorted(gone))
        self._judge_settings(edited, installs)
        plan = self.result
        plan.edits, plan.added, plan.removed = edited.edits, edited.added, sorted(gone)
        plan.rows = rows_after(self.rows, edited)
        self._explain(edited)
        plan.summary = summary_of(plan, self.request)
        return plan

    def _check_names(self) -> None:
        request = self.request
        asked = {
            "configure": [each.application for each in request.configure],
            "upgrade": list(request.upgrade),
            "remove": list(request.remove),
            "pause": list(request.pause),
            "resume": list(request.resume),
        }
        for part, names in asked.items():
            for position, name in enumerate(names):
                if name not in self.known:
                    text = _("%(name)s is not installed here.") % {"name": name[:60]}
                    raise NotFound(text, pointer=f"/{part}/{position}")
        for wanted in request.upgrade.values():
            if wanted:
                parse_range(wanted)

    def _find_gone(self) -> set[str]:
        """Return what goes: what was asked, and the services that nobody else needs. What others need is a problem."""
        requested_by = {row.slug: frozenset(row.requested_by) for row in self.rows}
        gone = set(find_removal(requested_by, self.request.remove).removed) | set(self.request.remove)
        for position, name in enumerate(self.request.remove):
            row = self.known[name]
            if users := _users_of(name, self.rows, gone):
                words = {"name": name, "path": " → ".join([*users, name])}
                text = _("%(name)s is needed: %(path)s. Remove what needs it in the same change, or keep it.")
                self._problem("needed", f"/remove/{position}", text % words)
            if row.is_protected:
                text = _("%(name)s is protected from deletion. Lift its protection first.")
                self._problem("protected", f"/remove/{position}", text % {"name": name})
        return gone & set(self.known)

    def _named_installs(self) -> dict[str, Install]:
        """Return the new Applications by name; one that nobody named is called like its Blueprint."""
        taken = {row.slug for row in self.rows} | {each.name for each in self.request.install if each.name}
        named: dict[str, Install] = {}
        for position, each in enumerate(self.request.install):
            if each.blueprint in {other.blueprint for other in named.values()}:
                text = _("Install one copy of %(blueprint)s in a change, the next one in another.")
                self._problem("installed_twice", f"/install/{position}", text % {"blueprint": each.blueprint})
            name = each.name or name_roots([each.blueprint], taken=taken)[0].application
            taken.add(name)
            named[name] = each
        return named

    def _wishes(self, installs: Mapping[str, Install]) -> dict[str, Wish]:
        wishes = {slug: Wish(range=wanted) for slug, wanted in self.request.upgrade.items()}
        for each in self.request.configure:
            known = wishes.get(each.application, Wish())
            wishes[each.application] = Wish(known.range, each.size, each.config)
        for name, wanted in installs.items():
            wishes[name] = Wish(wanted.version, wanted.size, wanted.config)
        return wishes

    def _resolve(self, left: list[Application], installs: Mapping[str, Install], wishes: Mapping[str, Wish]) -> Edited:
        self._check_obstacles(left)
        roots = [Root(name, each.blueprint, each.version) for name, each in installs.items()]
        ranges = self.request.upgrade
        moves = Moves.NONE
        if ranges:
            moves, roots = Moves.MINIMAL, [*roots_of(left, ranges), *roots]
        config = {row.slug: row.config for row in left}
        config |= {slug: wish.config for slug, wish in wishes.items() if wish.config is not None}
        choices = tuple(
            Choice(name, alias, bound) for name, each in installs.items() for alias, bound in each.bindings.items()
        )
        options = Options(
            moves=moves,
            upgrade=frozenset(ranges),
            configured=frozenset(each.application for each in self.request.configure),
            choices=choices,
            config=config,
        )
        lock = solve(index=self.index, roots=roots, locked=lock_of(left), options=options)
        return edit_rows(self.environment, left, lock, wishes)

    def _check_obstacles(self, left: list[Application]) -> None:
        """Say it when every version that was asked for refuses the one that runs."""
        for row in left:
            wanted = self.request.upgrade.get(row.slug, "")
            running = candidate_of(row.blueprint_version)
            if not wanted or is_allowed(running.version, wanted):
                continue
            found = [each for each in self.index.get(running.blueprint, ()) if is_allowed(each.version, wanted)]
            if found and None not in {find_obstacle(running, each) for each in found}:
                text = _("%(blueprint)s %(range)s cannot be reached from %(version)s, which %(name)s runs.")
                words = {"blueprint": running.blueprint, "range": wanted, "version": running.version, "name": row.slug}
                raise NotFound(text % words, pointer=f"/upgrade/{row.slug}")

    def _set_states(self, edited: Edited, left: Mapping[str, Application]) -> None:
        for state, names in (("paused", self.request.pause), ("active", self.request.resume)):
            for name in names:
                row = left.get(name)
                if row is None or row.state == state:
                    continue
                edit = next((each for each in edited.edits if each.application_id == row.pk), None)
                if edit is None:
                    edit = edit_of(row)
                    edited.edits.append(edit)
                edit.state = state

    def _judge_settings(self, edited: Edited, installs: Mapping[str, Install]) -> None:
        asked = {each.application for each in self.request.configure if each.config is not None}
        for edit in edited.edits:
            row, version = edit.application, edit.blueprint_version
            if row.slug in asked:
                self._judge(f"/configure/{row.slug}", schema_of(version), edit.config, row)
                self._refused(f"/configure/{row.slug}", check_immutable, version, row.config, edit.config)
            elif edit.blueprint_version_id != row.blueprint_version_id:
                self._refused(f"/upgrade/{row.slug}", check_carried_over, edit)
        for row in edited.added:
            if row.slug in installs:
                schema = schema_of(row.blueprint_version)
                self._fill_addresses(schema, row)
                self._judge(f"/install/{row.slug}", schema, row.config)

    def _fill_addresses(self, schema: Mapping[str, Any], row: Application) -> None:
        """A required administrator address that nobody gave is the actor's."""
        for name in schema.get("required") or ():
            if (schema["properties"].get(name) or {}).get("format") == "email":
                row.config.setdefault(name, self.actor.email)

    def _judge(
        self, pointer: str, schema: Mapping[str, Any], config: Mapping[str, Any], row: Application | None = None
    ) -> None:
        for problem in find_problems(schema, config, hosts=OwnHosts(self.environment.organization_id, row)):
            place = f"{problem.place}: " if problem.place else ""
            self._problem("configuration", f"{pointer}/{problem.place}", f"{place}{problem.message}")

    def _refused(self, pointer: str, check: Callable[..., None], *arguments: Any) -> None:
        try:
            check(*arguments)
        except DomainError as error:
            self._problem(error.code, pointer, error.message)

    def _problem(self, code: str, pointer: str, text: str) -> None:
        self.result.problems.append(Problem(code, pointer, text))

    def _explain(self, edited: Edited) -> None:
        request, reasons = self.request, self.result.reasons
        asked = {*request.upgrade, *request.remove, *request.pause, *request.resume}
        asked |= {each.application for each in request.configure}
        users = {row.slug: row.requested_by for row in self.result.rows}
        for name in [*(edit.application.slug for edit in edited.edits), *(row.slug for row in edited.added)]:
            needing = ", ".join(users.get(name) or ())
            if name in asked or (not needing and name not in self.result.removed):
                reasons[name] = _("It was asked for.")
            elif name in self.result.removed:
                reasons[name] = _("Nothing else needs it.")
            else:
                reasons[name] = _("Needed by %(who)s.") % {"who": needing}
        for name in request.pause:
            if blocked := [row.slug for row in self.result.rows if name in row.bindings.values()]:
                text = _("While %(name)s is paused, these do not work: %(others)s.")
                self.result.warnings.append(text % {"name": name, "others": ", ".join(blocked)})


def edit_of(row: Application) -> ApplicationEdit:
    """Return an edit that leaves an Application as it is."""
    return ApplicationEdit(
        organization_id=row.organization_id,
        application=row,
        blueprint_version=row.blueprint_version,
        version_range=row.version_range,
        size=row.size,
        config=row.config,
        bindings=row.bindings,
        requested_by=row.requested_by,
    )


def _removal(row: Application) -> ApplicationEdit:
    edit = edit_of(row)
    edit.removes = True
    return edit


def _users_of(name: str, rows: Iterable[Application], gone: set[str]) -> list[str]:
    """Return who stays and needs an Application, as a path down to it; empty when nobody does."""
    bound = {row.slug: set(row.bindings.values()) for row in rows if row.slug not in gone or row.slug == name}
    path: list[str] = []
    while users := sorted(slug for slug, targets in bound.items() if (path[0] if path else name) in targets):
        if users[0] in path or users[0] == name:
            break
        path.insert(0, users[0])
    return path
