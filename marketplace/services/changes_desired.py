"""The desired state of an Environment, computed from its rows alone, inside the Environment's lease.

What a message or a task carries takes no part, so two installations can never remove each other.
Source: docs/delivery.md.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from django.utils.translation import gettext as _

from catalyst.core.gitops.build import build
from marketplace.manifests.facts import EnvironmentFacts, Intent, Lock, LockEntry, ManifestsRefused, RenderSettings
from marketplace.manifests.render import render
from marketplace.models import Application, Blueprint, BlueprintVersion, Change
from marketplace.selectors.edits import apply_edits, edits_of, find_broken
from marketplace.selectors.installed import EDITS, has_chosen_pause, standing_applications
from marketplace.selectors.secrets import without_handles
from marketplace.selectors.version_ranges import parse_version
from marketplace.services.changes import ChangeReplaced
from marketplace.services.changes_values import told_values
from tenancy.models import Environment
from tenancy.selectors.sovereign import get_sovereign

RESOLVER_VERSION: Final = "1"
#: Where Applications run until a Sovereign can name its own host clusters: one of them, in the primary location.
HOST_CLUSTER: Final = "hz-fsn-rtz"
_LONGEST_LABEL: Final = 63
#: What a Change of this kind makes of every Application.
STATES: Final[Mapping[str, str]] = {
    Change.Kind.PAUSE: Application.State.PAUSED,
    Change.Kind.RESUME: Application.State.ACTIVE,
}
_REPOSITORIES: Final = {Blueprint.Source.PUBLIC: "catalog", Blueprint.Source.SOVEREIGN: "catalog-sovereign"}


def desired_applications(environment: Environment, *, change: Change | None) -> list[Application]:
    """Return the Applications that ``main`` holds once ``change`` is committed (None: today).

    Those are the ones of committed Changes and of ``change``, with everything they are bound to, without those that it
    removes, and as it edits them. Another Change that is planned but not committed does nothing here: it has a commit
    of its own.

    :raises ChangeReplaced: what it was decided upon is not so any more.
    """
    own = change.pk if change else None
    rows = [
        row for row in standing_applications(environment.pk) if row.removed_by_id is None or row.removed_by_id != own
    ]
    before = {row.slug: (row.blueprint_version_id, row.bindings) for row in rows if row.change.commit}
    changed = _edit(rows, change) if change is not None and change.kind in EDITS else set()
    # Of two with one name the younger has the older one's place, whose removal could not be committed.
    known = {row.slug: row for row in rows}
    wanted = {row.slug: row for row in rows if row.change.commit or row.change_id == own}
    pending = list(wanted.values())
    while pending:
        bound = [known[slug] for slug in set(pending.pop().bindings.values()) if slug not in wanted]
        wanted |= {row.slug: row for row in bound}
        pending += bound
    if change is not None and change.kind in STATES:
        for row in wanted.values():
            row.state = state_after(row, change.kind)
    _check_bindings(wanted, changed | (set(wanted) - set(before)), before)
    return [wanted[slug] for slug in sorted(wanted)]


def _edit(rows: list[Application], change: Change) -> set[str]:
    edits = edits_of(change)
    standing = {row.pk: row for row in rows}
    leaving = {edit.application_id for edit in edits if edit.removes}
    for edit in edits:
        row = standing.get(edit.application_id)
        words = {"name": edit.application.slug}
        if row is None:
            raise ChangeReplaced(_("%(name)s was removed meanwhile. Nothing was changed.") % words)
        is_older = parse_version(row.blueprint_version.version) > parse_version(edit.blueprint_version.version)
        if is_older and change.preview_id is None:  # a preview is bound to its base, and may go back on purpose
            raise ChangeReplaced(_("%(name)s has a newer version by now. Nothing was changed.") % words)
    changed = apply_edits(rows, edits)
    rows[:] = [row for row in rows if row.pk not in leaving]
    return changed


def state_after(row: Application, kind: str) -> str:
    """Return the state that a Change of this kind gives to what stands: what a person paused stays so on a resume."""
    if kind == Change.Kind.RESUME and has_chosen_pause(row.pk):
        return Application.State.PAUSED
    return STATES[kind]


def _check_bindings(
    rows: Mapping[str, Application], changed: set[str], before: Mapping[str, tuple[int, Mapping[str, str]]]
) -> None:
    broken = find_broken(rows, changed, before)
    if broken is not None:
        row, wanted, target = broken
        words = {"name": row.slug, "wanted": wanted, "other": target.slug, "version": target.blueprint_version.version}
        text = _("%(name)s needs %(wanted)s, and %(other)s is %(version)s by now. Nothing was changed.")
        raise ChangeReplaced(text % words)


def texts_of(
    base: Mapping[str, bytes], *, readme: str | None = None, code_owners: str | None = None
) -> tuple[str, str]:
    """Return README.md and CODEOWNERS, which people write themselves: as asked for, or (None) as they are."""

    def text(path: str, asked: str | None) -> str:
        return asked if asked is not None else base.get(path, b"").decode(errors="replace")

    return text("README.md", readme), text("CODEOWNERS", code_owners)


def desired_files(
    environment: Environment,
    applications: Iterable[Application],
    *,
    readme: str,
    code_owners: str = "",
    shows_charts: bool = False,
) -> dict[str, bytes]:
    """Return the whole tree of ``main`` for these Applications; ``readme`` and ``code_owners`` are the members' own.

    ``shows_charts``: with the objects that Flux makes of charts in the place of their releases, to look at.

    :raises ManifestsRefused: the rows contradict each other, or a Blueprint's manifests break a rule.
    """
    rows = list(applications)
    facts = environment_facts(environment, readme=readme, code_owners=code_owners)
    told = told_values(facts, rows)
    return render(
        environment=facts,
        lock=_without_registries(_lock(rows)) if shows_charts else _lock(rows),
        intents={row.slug: _intent(row, told[row.slug]) for row in rows},
        blueprints=_blueprint_files(rows),
        settings=RenderSettings(),
        kustomize=build,
    )


def _without_registries(lock: Lock) -> Lock:
    return replace(lock, entries=tuple(replace(entry, registry="") for entry in lock.entries))


def environment_facts(environment: Environment, *, readme: str = "", code_owners: str = "") -> EnvironmentFacts:
    """Return what rendering needs to know of the Environment."""
    domain = get_sovereign().domain
    return EnvironmentFacts(
        name=environment.name,
        env_type=environment.env_type,
        uuid=str(environment.uuid),
        organization=environment.organization.slug,
        # The domain names a Sovereign for good; its display name may change and need not be Latin.
        sovereign=domain[:_LONGEST_LABEL].rstrip("-."),
        sovereign_domain=domain,
        vcluster=environment.organization.slug,
        host_cluster=f"{HOST_CLUSTER}-{environment.env_type}",
        readme=readme,
        code_owners=code_owners,
    )


def _lock(rows: list[Application]) -> Lock:
    requested_by: dict[str, set[str]] = {}
    for row in rows:
        for bound in row.bindings.values():
            requested_by.setdefault(bound, set()).add(row.slug)
    entries = tuple(_lock_entry(row, requested_by.get(row.slug, set())) for row in rows)
    facts = "".join(sorted(f"{entry.blueprint} {entry.version} {entry.digest}\n" for entry in entries))
    digest = hashlib.sha256(facts.encode()).hexdigest()
    return Lock(entries=entries, resolver_version=RESOLVER_VERSION, index_digest=f"sha256:{digest}")


def _lock_entry(row: Application, requested_by: set[str]) -> LockEntry:
    version = row.blueprint_version
    blueprint = version.blueprint
    repository = _REPOSITORIES.get(Blueprint.Source(blueprint.source), "shared-blueprints")
    return LockEntry(
        application=row.slug,
        blueprint=blueprint.name,
        version=version.version,
        source=blueprint.source,
        ref=f"{repository}/{blueprint.name}",
        digest=version.digest,
        requested_by=tuple(sorted(requested_by)),
        bindings=row.bindings,
        registry=version.reference,
    )


def _intent(row: Application, told: Mapping[str, Any]) -> Intent:
    return Intent(
        application=row.slug,
        blueprint=row.blueprint_version.blueprint.name,
        constraint=row.version_range,
        size=row.size,
        # What an order names by a handle is the Application's own by the time that Git sees it.
        config=without_handles(row.config),
        told=told,
        state=row.state,
    )


def _blueprint_files(rows: Iterable[Application]) -> Mapping[tuple[str, str], Mapping[str, bytes]]:
    versions: dict[tuple[str, str], BlueprintVersion] = {}
    for row in rows:
        version = row.blueprint_version
        known = versions.setdefault((version.blueprint.name, version.version), version)
        if known.digest != version.digest:
            raise ManifestsRefused(
                _("%(blueprint)s comes from two sources under one version.") % {"blueprint": version.blueprint.name}
            )
    return {key: {path: text.encode() for path, text in each.files.items()} for key, each in versions.items()}
