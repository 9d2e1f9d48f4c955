"""A person's configuration of what runs: one Change, one commit, and the services that it switches on.

Source: docs/delivery.md.
"""

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any

from django.utils.translation import gettext as _

from catalyst.core.database import use_case
from catalyst.core.errors import DomainError, NotFound
from marketplace.models import Application, Change
from marketplace.selectors.own_hosts import OwnHosts
from marketplace.selectors.resolver import Moves, Options, solve
from marketplace.selectors.upgrade_question import index_for, lock_of
from marketplace.services.edits import (
    EditPlan,
    check_open,
    check_outcome,
    find_repeated,
    lock_environment,
    record_plan,
)
from marketplace.services.edits_config import changed_settings, check_configuration, check_immutable, schema_of
from marketplace.services.edits_plan import Edited, Wish, edit_rows, named
from tenancy.models import Environment, User

_SIZES = ("small", "medium", "large")


class NothingToChange(DomainError):
    """The configuration is as it was."""

    code = "nothing_to_change"
    status = HTTPStatus.CONFLICT


class SizeRefused(DomainError):
    """There is no such size."""

    code = "size_refused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


@use_case
def plan_configuration(
    *,
    environment: Environment,
    application: str,
    config: Mapping[str, Any],
    size: str = "",
    actor: User,
    reason: str = "",
    now: datetime,
    key: str = "",
) -> Change:
    """Plan the Change that gives an Application this whole configuration; its event has it written.

    ``config`` replaces what was set; a secret in it is a reference (a mapping), never a text. ``size`` empty: as it is.
    A dependency whose condition becomes true comes in the same Change, one whose condition becomes false stays, unused.
    The same ``key`` again finds the same Change.

    :raises ConfigurationRefused: a value does not fit. :raises SettingImmutable: it is chosen once.
    :raises SizeRefused: there is no such size. :raises NothingToChange: it is so already.
    :raises Unresolvable: what it switches on does not go with what runs. :raises CapacityExceeded: it does not fit.
    :raises ManifestsRefused: it tells a service what contradicts another Application, or what does not fit there.
    :raises NotFound: the Application is not there. :raises EnvironmentSuspended: :raises ChangeInProgress: not now.
    """
    environment = lock_environment(environment)
    body = {"application": application, "config": config, "size": size}
    if repeated := find_repeated(environment, kind=Change.Kind.CONFIGURE, key=key, body=body):
        return repeated
    rows = check_open(environment)
    wish = Wish(config=config, size=size)
    plan = preview_configuration(environment, rows, application, wish, now=now)
    check_outcome(environment, rows, plan.rows)
    return record_plan(
        environment, plan, kind=Change.Kind.CONFIGURE, actor=actor, reason=reason, now=now, key=key, body=body
    )


def preview_configuration(
    environment: Environment, rows: list[Application], application: str, wish: Wish, *, now: datetime
) -> EditPlan:
    """Return what a configuration would do; writes nothing. Refusals as in ``plan_configuration``."""
    row = next((each for each in rows if each.slug == application and each.change.commit), None)
    if row is None:
        raise NotFound(_("%(name)s is not installed here.") % {"name": application[:60]})
    if wish.size and wish.size not in _SIZES:
        raise SizeRefused(_("Choose small, medium or large."), pointer="/size")
    config = wish.config or {}
    others = {each.slug: each.blueprint_version.blueprint.name for each in rows if each is not row}
    hosts = OwnHosts(environment.organization_id, row)
    check_configuration(row.blueprint_version, config, applications=others, hosts=hosts)
    check_immutable(row.blueprint_version, row.config, config)
    options = Options(
        moves=Moves.NONE,
        configured=frozenset({application}),
        config={**{each.slug: each.config for each in rows}, application: config},
    )
    lock = solve(index=index_for(environment.organization, now=now), roots=[], locked=lock_of(rows), options=options)
    edited = edit_rows(environment, rows, lock, {application: wish})
    if not edited.edits:
        raise NothingToChange(_("Nothing was changed."))
    return edited.with_summary(rows, _summary(row, edited, wish))


def _summary(row: Application, edited: Edited, wish: Wish) -> str:
    """Return the first line of the commit: which settings change, and what comes along."""
    settings = changed_settings(schema_of(row.blueprint_version), row.config, wish.config or {})
    if wish.size and wish.size != row.size:
        settings.append("size")
    came = [named(each) for each in edited.added]
    text = f"configure {row.slug}: {', '.join(settings) or 'what it needs'}"
    return f"{text}; install {', '.join(came)}" if came else text
