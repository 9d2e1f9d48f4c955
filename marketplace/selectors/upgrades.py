"""Which Applications could have a newer version, how urgent that is, and what stands in the way.

A security fix anywhere between the version that runs and the one that can be had makes it a security update; otherwise
a new minor or major is a feature, a new patch a fix. Source: docs/blueprints.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import get_language
from django.utils.translation import gettext as _

from marketplace.models import Application, BlueprintVersion
from marketplace.selectors.installed import current_applications
from marketplace.selectors.resolver import Index, Lock, Unresolvable
from marketplace.selectors.upgrade_question import index_for, solve_upgrade
from marketplace.selectors.version_ranges import parse_version
from marketplace.selectors.why import newer_versions, releases_of_rows
from tenancy.models import Environment

SECURITY, FEATURE, FIX = "security", "feature", "fix"


@dataclass(frozen=True, slots=True)
class Move:
    """One Application that moves; ``before`` is empty for one that comes along."""

    application: str
    blueprint: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class ReleaseNote:
    """What a version says of itself, as its publisher wrote it."""

    version: str
    text: str
    is_security: bool


@dataclass(frozen=True, slots=True)
class UpgradeNotice:
    """What can be said of one Application. ``newest`` and ``kind`` are empty when nothing newer can be had.

    ``others`` also move. ``notices`` are about the version that runs; ``blocked`` says why a newer one that exists
    cannot be had.
    """

    application: str
    title: str
    blueprint: str
    version: str
    newest: str
    kind: str
    others: tuple[Move, ...]
    changelog: tuple[ReleaseNote, ...]
    notices: tuple[str, ...]
    blocked: str


def available_upgrades(environment: Environment, *, now: datetime) -> list[UpgradeNotice]:
    """Return one notice for each installed Application, by name."""
    rows = list(current_applications(environment.pk))
    index = index_for(environment.organization, now=now)
    releases = releases_of_rows(rows)
    return [
        _notice(row, rows, index, releases[row.blueprint_version.blueprint_id]) for row in rows if row.change.commit
    ]


def moves_between(rows: Iterable[Application], lock: Lock) -> tuple[Move, ...]:
    """Return what a Lock changes, in the order of installation. What it does not hold any more stays."""
    running = {row.slug: row.blueprint_version.version for row in rows}
    return tuple(
        Move(entry.application, entry.candidate.blueprint, before, entry.candidate.version)
        for entry in lock.entries
        if (before := running.get(entry.application, "")) != entry.candidate.version
    )


def _notice(
    row: Application, rows: Sequence[Application], index: Index, releases: list[BlueprintVersion]
) -> UpgradeNotice:
    running = row.blueprint_version
    moves = _moves(row, rows, index)
    newest = next((move.after for move in moves if move.application == row.slug), "")
    passed = _passed(releases, running.version, newest)
    return UpgradeNotice(
        application=row.slug,
        title=running.blueprint.title,
        blueprint=running.blueprint.name,
        version=running.version,
        newest=newest,
        kind=_kind(running.version, newest, passed) if newest else "",
        others=tuple(move for move in moves if move.application != row.slug) if newest else (),
        changelog=tuple(ReleaseNote(each.version, each.changelog, each.is_security) for each in passed),
        notices=_notices(running, releases, index),
        blocked=_blocked(row, rows, index, newest or running.version, releases),
    )


def _moves(row: Application, rows: Sequence[Application], index: Index) -> tuple[Move, ...]:
    running = parse_version(row.blueprint_version.version)
    known = index.get(row.blueprint_version.blueprint.name, ())
    if not any(parse_version(each.version) > running for each in known):
        return ()
    try:
        return moves_between(rows, solve_upgrade(rows, {row.slug: ""}, index=index))
    except Unresolvable:
        return ()


def _passed(releases: list[BlueprintVersion], running: str, newest: str) -> list[BlueprintVersion]:
    """Return the versions after the one that runs up to the newest, newest first; pre-releases of others not."""
    if not newest:
        return []
    first, last = parse_version(running), parse_version(newest)
    between = [each for each in releases if first < parse_version(each.version) <= last]
    return [each for each in between if not each.prerelease or each.version == newest]


def _kind(running: str, newest: str, passed: list[BlueprintVersion]) -> str:
    if any(each.is_security for each in passed):
        return SECURITY
    before, after = parse_version(running), parse_version(newest)
    return FIX if (before.major, before.minor) == (after.major, after.minor) else FEATURE


def _notices(running: BlueprintVersion, releases: list[BlueprintVersion], index: Index) -> tuple[str, ...]:
    words = {"version": running.version}
    notices = []
    if running.yanked_at is not None:
        text = _("Version %(version)s was withdrawn by its publisher. It keeps running; upgrade as soon as you can.")
        notices.append(text % words)
    elif running.state == BlueprintVersion.State.RETIRED:
        notices.append(_("Version %(version)s is not offered any more. It keeps running.") % words)
    newest = next((each for each in releases if each.yanked_at is None), running)
    said = [each.contract.get("spec", {}).get("deprecated") for each in (newest, running)]
    if deprecated := next(filter(None, said), None):
        notices.append(_deprecated(deprecated, index))
    return tuple(notices)


def _deprecated(said: Mapping[str, object], index: Index) -> str:
    """Return the publisher's own words, else ours. What replaces it is named only where the reader may have it."""
    message, other = said.get("message"), said.get("replacedBy")
    if isinstance(message, Mapping):
        language = "ar" if (get_language() or "en").startswith("ar") else "en"
        message = message.get(language) or message.get("en")
    text = str(message or _("Its publisher does not develop it any more. It keeps running."))
    if isinstance(other, str) and other in index:
        replaced = _("%(blueprint)s replaces it.") % {"blueprint": other}
        return f"{text} {replaced}"
    return text


def _blocked(
    row: Application, rows: Sequence[Application], index: Index, best: str, releases: list[BlueprintVersion]
) -> str:
    """Say why the newest release that is offered is not the one that can be had."""
    offered = [each for each in releases if not each.prerelease and each.yanked_at is None]
    newest = next((each for each in offered if each.state == BlueprintVersion.State.PUBLISHED), None)
    if newest is None or parse_version(newest.version) <= parse_version(best):
        return ""
    [verdict] = newer_versions(row, rows, index=index, releases=[newest])
    return "" if verdict.code == "available" else verdict.reason
