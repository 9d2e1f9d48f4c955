"""What an Environment's rows say is installed, in the resolver's form."""

from django.db.models import Q

from marketplace.models import Application, Change
from marketplace.selectors.capacity import Footprint
from marketplace.selectors.dependencies import Candidate, Lock, LockEntry
from tenancy.models import Environment


def installed_lock(environment: Environment) -> Lock:
    """Return every Application of the Environment, also those whose Change is not committed yet."""
    rows = environment.applications.select_related("blueprint_version__blueprint").order_by("slug")
    return Lock(entries=tuple(_entry(row) for row in rows))


def applications_at(environment: Environment, change: Change) -> list[Application]:
    """Return what the tree of ``change`` holds: everything committed before, and what the Change itself brings."""
    rows = environment.applications.filter(Q(change=change) | ~Q(change__commit=""))
    return list(rows.select_related("blueprint_version__blueprint").order_by("slug"))


def _entry(row: Application) -> LockEntry:
    version, blueprint = row.blueprint_version, row.blueprint_version.blueprint
    exposes = version.contract["spec"].get("exposes") or {}
    candidate = Candidate(
        blueprint=blueprint.name,
        version=version.version,
        digest=version.digest,
        source=blueprint.source,
        kind=blueprint.kind,
        footprint=Footprint(blueprint.memory_mib, blueprint.cpu_milli, blueprint.disk_gib),
        sharing=tuple(exposes.get("sharing", ("shared", "dedicated"))),
    )
    return LockEntry(row.slug, candidate, tuple(row.requested_by), dict(row.bindings))
