"""How much an Environment uses and what a Plan gives: the only sizing arithmetic.

Source: catalog.md §4 of the design.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from marketplace.models import Application, Plan
from marketplace.selectors.installed import current_applications
from marketplace.selectors.removal import find_removal
from tenancy.models import Environment


@dataclass(frozen=True, slots=True)
class Footprint:
    """Memory in MiB, CPU in thousandths, disk in GiB."""

    memory_mib: int
    cpu_milli: int
    disk_gib: int

    def __add__(self, other: "Footprint") -> "Footprint":
        return Footprint(
            self.memory_mib + other.memory_mib, self.cpu_milli + other.cpu_milli, self.disk_gib + other.disk_gib
        )

    def fits(self, capacity: "Footprint") -> bool:
        """Tell whether this much fits on all three axes."""
        return (
            self.memory_mib <= capacity.memory_mib
            and self.cpu_milli <= capacity.cpu_milli
            and self.disk_gib <= capacity.disk_gib
        )

    def percent_of(self, capacity: "Footprint") -> int:
        """Return the fullest axis in whole percent, rounded up: what the gauge shows. No capacity counts as full."""
        pairs = (
            (self.memory_mib, capacity.memory_mib),
            (self.cpu_milli, capacity.cpu_milli),
            (self.disk_gib, capacity.disk_gib),
        )
        return max(-(-100 * used // given) if given else 101 for used, given in pairs)

    def as_json(self) -> dict[str, int]:
        return {"memory_mib": self.memory_mib, "cpu_milli": self.cpu_milli, "disk_gib": self.disk_gib}


#: What the platform itself takes in every Environment.
OVERHEAD = Footprint(memory_mib=500, cpu_milli=250, disk_gib=3)


def used_by(footprints: Iterable[Footprint]) -> Footprint:
    """Return the overhead plus all Applications and backing services."""
    return sum(footprints, start=OVERHEAD)


def smallest_fitting(used: Footprint, plans: Iterable[tuple[str, Footprint]]) -> str | None:
    """Return the slug of the smallest Plan that holds ``used``, or None when none does."""
    fitting = [(capacity.memory_mib, capacity.cpu_milli, slug) for slug, capacity in plans if used.fits(capacity)]
    return min(fitting)[2] if fitting else None


def installed_fits(environment: Environment, capacity: Footprint, *, without: Collection[str] = ()) -> bool:
    """Tell whether what is installed, in its exact versions, fits a capacity.

    ``without`` names Applications that are to go at the same time, with the services that nobody else needs then.
    """
    rows = {row.slug: row for row in current_applications(environment.pk)}
    gone = find_removal({slug: frozenset(row.requested_by) for slug, row in rows.items()}, without).removed
    return used_by(footprint_of(row) for slug, row in rows.items() if slug not in gone).fits(capacity)


#: What the Plan of an Environment gives it, None where no Plan limits it.
CapacitySource = Callable[[Environment], Footprint | None]
_sources: list[CapacitySource] = []


def register_capacity(source: CapacitySource) -> CapacitySource:
    """Let an app that lies higher, and knows what was sold, say how much an Environment may hold."""
    _sources.append(source)
    return source


def capacity_of(environment: Environment) -> Footprint | None:
    """Return what the Environment may hold, None when nothing was sold for it that limits it."""
    given = [capacity for source in _sources if (capacity := source(environment)) is not None]
    return given[0] if given else None


def plan_footprint(plan: Plan) -> Footprint:
    """Return what a Plan gives one Environment."""
    return Footprint(plan.memory_mib, plan.vcpu_milli, plan.disk_gib)


def footprint_of(row: Application) -> Footprint:
    """Return what an Application takes, as its exact version says of its size."""
    spec = row.blueprint_version.contract.get("spec", {})
    sizes = (spec.get("manifests") or {}).get("overlays") or {}
    said = (sizes.get(row.size) or {}).get("footprint") or spec.get("footprint") or {}
    return Footprint(said.get("memoryMiB", 0), said.get("cpuMilli", 0), said.get("diskGiB", 0))
