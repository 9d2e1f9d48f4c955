"""What an Order installs: names, exact versions, bindings and configuration, as rows that are not saved yet.

Source: docs/delivery.md; docs/glossary.md for names.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any, Final

from django.utils.translation import gettext as _

from catalyst.core.errors import NotFound
from marketplace.models import Application, BlueprintVersion
from marketplace.selectors.blueprint_index import candidate_of, index_of
from marketplace.selectors.dependencies import Candidate, Lock, LockEntry, Root, resolve
from marketplace.selectors.edits import planned_applications
from marketplace.selectors.offer import load_offer
from marketplace.selectors.version_ranges import parse_version
from tenancy.models import Environment, User
from tenancy.selectors.sovereign import get_sovereign

_RESERVED: Final = frozenset({"environment", "applications", "system", "default", "kustomization"})
_LONGEST_CHOSEN: Final = 40


@dataclass(frozen=True, slots=True)
class Plan:
    """``added`` are new Applications in the order of installation; ``extended`` run already and serve one more."""

    added: list[Application]
    extended: list[Application]
    summary: str


def plan_applications(
    *, environment: Environment, blueprints: Iterable[str], config: Mapping[str, Any], buyer: User, now: datetime
) -> Plan:
    """Return what must be added so that each of ``blueprints`` is installed once more.

    An Application is called like its Blueprint (``wordpress``); a second copy gets the next free name
    (``wordpress-2``): a person may buy the same thing twice, and nothing that was paid is dropped silently.

    :raises Unresolvable: a dependency cannot be met today.
    """
    rows = planned_applications(environment.pk)
    present = {row.slug: row for row in rows}
    roots = name_roots(blueprints, taken=set(present))
    offer = load_offer(environment.organization, currency=str(get_sovereign().currency_id), at=now)
    chosen = {root.application: dict(config.get(root.blueprint) or {}) for root in roots}
    # What was paid is installed, deprecated since or not.
    index = index_of(offer.listings, owed=offer.listings)
    lock = resolve(index=index, roots=roots, existing=_lock_of(rows), config=chosen)
    entries = [entry for entry in lock.entries if entry.application not in present]
    versions = find_versions([entry.candidate for entry in entries], environment)
    ranges = ranges_of(lock)
    added = []
    for entry in entries:
        version = versions[version_key(entry.candidate)]
        given = config.get(entry.candidate.blueprint) if not entry.requested_by else None
        added.append(
            Application(
                organization_id=environment.organization_id,
                environment=environment,
                slug=entry.application,
                blueprint_version=version,
                version_range=ranges.get(entry.application) or compatible_range(version.version),
                config=_configuration(version, given if isinstance(given, Mapping) else {}, buyer),
                bindings=dict(entry.bindings),
                requested_by=list(entry.requested_by),
            )
        )
    return Plan(added, _extended(lock, present), _summary(added))


def name_roots(blueprints: Iterable[str], *, taken: set[str]) -> list[Root]:
    """Return a root for each Blueprint, called like it, or with the next free number."""
    roots = []
    names = taken | _RESERVED
    for blueprint in dict.fromkeys(blueprints):
        stem = blueprint.removeprefix("bp-")[:_LONGEST_CHOSEN].rstrip("-")
        candidates = (stem if number == 1 else f"{stem}-{number}" for number in count(1))
        name = next(candidate for candidate in candidates if candidate not in names)
        names.add(name)
        roots.append(Root(name, blueprint))
    return roots


def _lock_of(rows: list[Application]) -> Lock:
    return Lock(
        tuple(
            LockEntry(row.slug, candidate_of(row.blueprint_version), tuple(row.requested_by), row.bindings)
            for row in rows
        )
    )


def version_key(candidate: Candidate) -> tuple[str, str, str]:
    """Return what tells versions apart that one Organization may install."""
    return candidate.source, candidate.blueprint, candidate.version


def find_versions(
    candidates: Iterable[Candidate], environment: Environment
) -> dict[tuple[str, str, str], BlueprintVersion]:
    """Return the stored versions behind the resolver's, by ``version_key``.

    :raises NotFound: one is not in the catalogue any more.
    """
    wanted = {version_key(candidate) for candidate in candidates}
    rows = BlueprintVersion.objects.filter(
        blueprint__name__in={name for _source, name, _version in wanted},
        version__in={version for _source, _name, version in wanted},
    ).select_related("blueprint")
    owners = {None, environment.organization_id}
    found = {
        (row.blueprint.source, row.blueprint.name, row.version): row
        for row in rows
        if row.blueprint.organization_id in owners
    }
    if missing := sorted(wanted - set(found)):
        raise NotFound(_("%(blueprint)s is not in the catalogue any more.") % {"blueprint": missing[0][1]})
    return found


def ranges_of(lock: Lock) -> dict[str, str]:
    """Return which versions each dependency may have: what the first that needs it allows."""
    ranges: dict[str, str] = {}
    for entry in lock.entries:
        for edge in entry.candidate.depends:
            ranges.setdefault(entry.bindings.get(edge.alias, ""), edge.range)
    return ranges


def compatible_range(version: str) -> str:
    """Return the range that holds a version and those that promise to be compatible with it."""
    parsed = parse_version(version)
    return f"^{version}" if parsed.prerelease else f"^{parsed.major}.{parsed.minor}"


def _configuration(version: BlueprintVersion, given: Mapping[str, Any], buyer: User) -> dict[str, Any]:
    """Return what the buyer set, limited to what the Blueprint knows.

    A host name of one's own is left out until domains are proven to belong to somebody. A required administrator
    address that nobody gave is the buyer's.
    """
    schema = version.contract.get("spec", {}).get("configSchema") or {}
    properties = {
        name: node
        for branch in (schema, *(schema.get("oneOf") or ()))
        for name, node in (branch.get("properties") or {}).items()
    }
    kept = {
        name: value
        for name, value in given.items()
        if name in properties and properties[name].get("x-catalyst-ui-hint") != "domain-picker"
    }
    for name in schema.get("required") or ():
        if properties.get(name, {}).get("format") == "email":
            kept.setdefault(name, buyer.email)
    return kept


def _extended(lock: Lock, present: Mapping[str, Application]) -> list[Application]:
    changed = []
    for entry in lock.entries:
        row = present.get(entry.application)
        if row is not None and row.requested_by != list(entry.requested_by):
            row.requested_by = list(entry.requested_by)
            changed.append(row)
    return changed


def _summary(added: list[Application]) -> str:
    """Return the first line of the commit: what was bought, then what came with it."""
    bought = [row for row in added if not row.requested_by]
    others = [row for row in added if row.requested_by]
    named = [
        f"{row.slug} ({row.blueprint_version.blueprint.name} {row.blueprint_version.version})"
        for row in (*bought, *others)
    ]
    return f"install {', '.join(named)}" if named else "prepare the Environment"
