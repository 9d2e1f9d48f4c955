"""How much an Environment uses and what a Plan gives: the only sizing arithmetic.

Source: catalog.md §4 of the design.
"""

from collections.abc import Iterable
from dataclasses import dataclass


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
