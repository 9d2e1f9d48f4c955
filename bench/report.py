"""Rows of the report: what was measured, what it is compared with, and whether that is enough."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Target:
    """What performance.md asks of a row. ``at_most``: the smaller the better. ``on`` names what is judged."""

    must: float
    aim: float | None = None
    at_most: bool = False
    on: str = "ratio"


@dataclass(frozen=True)
class Row:
    """``ratio`` is value / floor. ``note`` says in a few words what the floor is, or what else was found."""

    name: str
    value: float
    floor: float
    unit: str
    target: Target
    note: str = ""

    @property
    def ratio(self) -> float:
        return self.value / self.floor if self.floor else 0.0

    @property
    def judged(self) -> float:
        return self.ratio if self.target.on == "ratio" else self.value

    def reaches(self, goal: float | None) -> bool:
        if goal is None:
            return False
        return self.judged <= goal if self.target.at_most else self.judged >= goal

    @property
    def verdict(self) -> str:
        if not self.reaches(self.target.must):
            return "FAIL"
        return "pass, aim" if self.reaches(self.target.aim) else "pass"


def table(rows: Iterable[Row]) -> str:
    """Return the rows as text, one line each."""
    lines = [f"{'row':<24}{'value':>10}{'floor':>10}  {'unit':<12}{'ratio':>8}{'must':>8}{'aim':>8}  verdict"]
    for row in rows:
        sign = "≤" if row.target.at_most else "≥"
        must, aim = (f"{sign} {goal:g}" if goal is not None else "" for goal in (row.target.must, row.target.aim))
        lines.append(
            f"{row.name:<24}{row.value:>10.2f}{row.floor:>10.2f}  {row.unit:<12}{row.ratio:>8.3f}"
            f"{must:>8}{aim:>8}  {row.verdict:<10} {row.note}"
        )
    return "\n".join(lines)


def write(rows: Iterable[Row], path: Path) -> None:
    """Write the rows as ``{row: {value, floor, ratio, unit}}``, rows of earlier runs kept."""
    try:
        known = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        known = {}
    for row in rows:
        numbers = {"value": row.value, "floor": row.floor, "ratio": row.ratio}
        known[row.name] = {name: round(number, 4) for name, number in numbers.items()} | {"unit": row.unit}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n")
