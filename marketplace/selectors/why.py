"""Why an Application has the version it has: who asked, who needs it, and what became of newer versions.

Only what the Organization may see is named: its own Applications, and versions of the Blueprint that it runs.
Source: blueprints.md §5 of the design; docs/blueprints.md.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from catalyst.core.errors import NotFound
from catalyst.core.models import Outbox
from marketplace.models import Application, ApplicationEdit, BlueprintVersion, Change
from marketplace.selectors.blueprint_index import candidate_of
from marketplace.selectors.installed import current_applications
from marketplace.selectors.releases import SHOWN
from marketplace.selectors.resolver import Index, Obstacle, Unresolvable, find_obstacle
from marketplace.selectors.upgrade_question import index_for, solve_upgrade
from marketplace.selectors.version_ranges import is_allowed, parse_version
from tenancy.models import Environment


@dataclass(frozen=True, slots=True)
class Requester:
    """An Application that is bound to this one, with the range that its version asks for."""

    application: str
    title: str
    version: str
    alias: str
    range: str


@dataclass(frozen=True, slots=True)
class NewerVersion:
    """A later version that is not the one that runs. ``code`` is for programs, ``reason`` a sentence.

    Codes: ``yanked``, ``retired``, ``prerelease``, ``blocked``, ``recreate``, ``own_range``, ``needed``, ``conflict``,
    ``available``.
    """

    version: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Why:
    """The answer. ``range`` is what a person asked for, empty for what came along with others."""

    application: str
    title: str
    blueprint: str
    version: str
    source: str
    digest: str
    range: str
    change: Change
    requesters: tuple[Requester, ...]
    newer: tuple[NewerVersion, ...]


def explain_version(environment: Environment, slug: str, *, now: datetime) -> Why:
    """Return why an Application has its version.

    :raises NotFound: it is not installed here.
    """
    rows = list(current_applications(environment.pk))
    row = next((each for each in rows if each.slug == slug and each.change.commit), None)
    if row is None:
        raise NotFound(_("Not found."))
    version = row.blueprint_version
    return Why(
        application=row.slug,
        title=version.blueprint.title,
        blueprint=version.blueprint.name,
        version=version.version,
        source=version.blueprint.source,
        digest=version.digest,
        range="" if row.requested_by else row.version_range,
        change=_brought_by(row),
        requesters=requesters_of(row, [each for each in rows if each.change.commit]),
        newer=newer_versions(
            row,
            rows,
            index=index_for(environment.organization, now=now),
            releases=releases_of_rows([row])[version.blueprint_id],
        ),
    )


def requesters_of(row: Application, rows: Iterable[Application]) -> tuple[Requester, ...]:
    """Return who is bound to an Application, by name."""
    return tuple(
        Requester(
            application=each.slug,
            title=each.blueprint_version.blueprint.title,
            version=each.blueprint_version.version,
            alias=edge["alias"],
            range=edge["version"],
        )
        for each in sorted(rows, key=lambda each: each.slug)
        for edge in each.blueprint_version.contract.get("spec", {}).get("depends") or ()
        if each.bindings.get(edge["alias"]) == row.slug
    )


def releases_of_rows(rows: Iterable[Application]) -> dict[int, list[BlueprintVersion]]:
    """Return everything that was ever published of the Blueprints that run, newest first, by Blueprint; one query."""
    blueprints = {row.blueprint_version.blueprint_id for row in rows}
    versions = BlueprintVersion.objects.filter(blueprint__in=blueprints, state__in=SHOWN)
    found: dict[int, list[BlueprintVersion]] = {blueprint: [] for blueprint in blueprints}
    loaded = versions.select_related("blueprint").defer("files")
    for version in sorted(loaded, key=lambda each: parse_version(each.version), reverse=True):
        found[version.blueprint_id].append(version)
    return found


def newer_versions(
    row: Application, rows: Sequence[Application], *, index: Index, releases: Iterable[BlueprintVersion]
) -> tuple[NewerVersion, ...]:
    """Say of every later version among the ``releases`` of its Blueprint why it is not the one that runs."""
    running = parse_version(row.blueprint_version.version)
    later = [each for each in releases if parse_version(each.version) > running]
    return tuple(NewerVersion(each.version, *_verdict(each, row, rows, index)) for each in later)


def _verdict(version: BlueprintVersion, row: Application, rows: Sequence[Application], index: Index) -> tuple[str, str]:
    """Return the first thing that keeps a version from being chosen, as a code and a sentence."""
    words = {"version": version.version, "name": row.slug, "running": row.blueprint_version.version}
    if version.yanked_at is not None:
        return "yanked", _("%(version)s was withdrawn by its publisher.") % words
    if version.state == BlueprintVersion.State.RETIRED:
        return "retired", _("%(version)s is not offered any more.") % words
    obstacle = find_obstacle(candidate_of(row.blueprint_version), candidate_of(version))
    if obstacle == Obstacle.BLOCKED:
        return "blocked", _("%(version)s cannot be reached from %(running)s.") % words
    if obstacle == Obstacle.RECREATE:
        return "recreate", _("%(version)s does not take over %(running)s: recreate the Application to have it.") % words
    if not row.requested_by and not is_allowed(version.version, row.version_range):
        return _outside(version, words | {"range": row.version_range})
    return _verdict_of_others(version, row, rows, index)


def _outside(version: BlueprintVersion, words: dict[str, str]) -> tuple[str, str]:
    if version.prerelease:
        return "prerelease", _("%(version)s is a pre-release; only a range that names it has it.") % words
    return "own_range", _("%(version)s is not in the range %(range)s that was asked for.") % words


def _verdict_of_others(
    version: BlueprintVersion, row: Application, rows: Sequence[Application], index: Index
) -> tuple[str, str]:
    words = {"version": version.version, "name": row.slug}
    refusing = [each for each in requesters_of(row, rows) if not is_allowed(version.version, each.range)]
    try:
        # Asked first: who refuses it today may move along with it.
        solve_upgrade(rows, {row.slug: f"={version.version}"}, index=index)
    except Unresolvable as error:
        if version.prerelease:
            return _outside(version, words)
        if refusing:
            said = ", ".join(f"{each.application} {each.version} ({each.range})" for each in refusing)
            return "needed", _("%(version)s is not what %(who)s needs.") % {"version": version.version, "who": said}
        return "conflict", error.message
    return "available", _("%(version)s can be had: upgrade %(name)s.") % words


def _brought_by(row: Application) -> Change:
    """Return the Change that gave an Application the version it has."""
    edits = ApplicationEdit.objects.filter(application=row).exclude(change__commit="")
    rows = list(edits.select_related("change__author", "blueprint_version").order_by("change__seq"))
    first = Outbox.objects.filter(dedup_key=f"application.requested:{row.pk}:{row.change_id}")
    payload = first.values_list("payload", flat=True).first() or {}
    known = payload.get("version", "")
    brought = Change.objects.select_related("author").get(pk=row.change_id)
    for edit in rows:
        if edit.blueprint_version.version != known:
            brought = edit.change
        known = edit.blueprint_version.version
    return brought


def last_edit(application: Application) -> Change | None:
    """Return the newest Change that a person asked for of an Application, committed or not."""
    return Change.objects.filter(edits__application=application).order_by("-created_at", "-pk").first()
