"""How much an Environment uses and what a Plan gives: the only sizing arithmetic.

Source: catalog.md §4 of the design.
"""

from collections.abc import Collection, Iterable
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


@dataclass(frozen=True, slots=True)
class Freed:
    """One Application that a person may take out, and what that gives back, with the services that go along."""

    application: str
    title: str
    footprint: Footprint


@dataclass(frozen=True, slots=True)
class Overflow:
    """What does not fit. ``excess`` is how much too much on each axis, 0 where it fits; largest Applications first."""

    used: Footprint
    capacity: Footprint
    excess: Footprint
    applications: tuple[Freed, ...]


def plan_overflow(environment: Environment, plan: Plan, *, without: Collection[str] = ()) -> Overflow | None:
    """Return what of the Environment does not fit a Plan, None when all fits.

    ``without`` names Applications that are to go at the same time, with the services that nobody else needs then.
    """
    rows = {row.slug: row for row in current_applications(environment.pk)}
    needs = {slug: frozenset(row.requested_by) for slug, row in rows.items()}
    gone = find_removal(needs, without).removed
    rows = {slug: row for slug, row in rows.items() if slug not in gone}
    footprints = {slug: footprint_of(row) for slug, row in rows.items()}
    used, capacity = used_by(footprints.values()), Footprint(plan.memory_mib, plan.vcpu_milli, plan.disk_gib)
    if used.fits(capacity):
        return None
    needs = {slug: needs[slug] - frozenset(gone) for slug in rows}
    bought = [row for row in rows.values() if not needs[row.slug]]
    freed = [_freed(row, find_removal(needs, [row.slug]).removed, footprints) for row in bought]
    ranked = sorted(freed, key=lambda each: (-each.footprint.percent_of(capacity), each.application))
    return Overflow(used, capacity, _excess(used, capacity), tuple(ranked))


def footprint_of(row: Application) -> Footprint:
    """Return what an Application takes, as its exact version says."""
    said = row.blueprint_version.contract.get("spec", {}).get("footprint") or {}
    return Footprint(said.get("memoryMiB", 0), said.get("cpuMilli", 0), said.get("diskGiB", 0))


def _freed(row: Application, gone: Iterable[str], footprints: dict[str, Footprint]) -> Freed:
    freed = sum((footprints[slug] for slug in gone), start=Footprint(0, 0, 0))
    return Freed(row.slug, row.blueprint_version.blueprint.title, freed)


def _excess(used: Footprint, capacity: Footprint) -> Footprint:
    return Footprint(
        max(used.memory_mib - capacity.memory_mib, 0),
        max(used.cpu_milli - capacity.cpu_milli, 0),
        max(used.disk_gib - capacity.disk_gib, 0),
    )
