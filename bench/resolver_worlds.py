"""Made-up catalogues for the resolver, the same in every run."""

from random import Random

from marketplace.selectors.capacity import Footprint
from marketplace.selectors.resolver import Candidate, Edge, Index, Root

_SIZE = Footprint(1, 1, 1)
#: Of 1,000 Blueprints so many stand on each level; those of a level need some of the next.
_LEVELS = (500, 250, 125, 65, 30, 15, 10, 5)


def layered(
    blueprints: int, versions: int, roots: int, *, seed: int, is_cyclic: bool = False
) -> tuple[Index, list[Root]]:
    """Return a catalogue of eight levels in which newer versions need newer ones, and Applications of the first level.

    With ``is_cyclic`` one version that nobody can take leads back, so that the search has to watch every path.
    """
    dice = Random(seed)
    levels = [
        [f"bp-level{level}-{number}" for number in range(max(2, count * blueprints // 1000))]
        for level, count in enumerate(_LEVELS)
    ]
    index: dict[str, tuple[Candidate, ...]] = {}
    for level, names in enumerate(levels):
        below = levels[level + 1] if level + 1 < len(levels) else []
        index |= {name: _versions(dice, name, versions, below) for name in names}
    if is_cyclic:
        last = levels[-1][0]
        back = Edge(levels[0][0], "^9", "back", "shared")
        index[last] = (*index[last], _candidate(last, "9.0.0", (back,)))
    return index, [Root(name.removeprefix("bp-"), name) for name in levels[0][:roots]]


def hopeless(birds: int) -> tuple[Index, list[Root]]:
    """Return a question that has no answer, and none that a search would ever come to: birds, and a nest too few."""
    nests = range(birds - 1)
    index: dict[str, tuple[Candidate, ...]] = {
        f"bp-nest{nest}": tuple(_candidate(f"bp-nest{nest}", f"{bird + 1}.0.0", ()) for bird in range(birds))
        for nest in nests
    }
    for bird in range(birds):
        name = f"bp-bird{bird}"
        edges = [Edge(f"bp-nest{nest}", f"{bird + 1}.x", "nest", "shared") for nest in nests]
        index[name] = tuple(_candidate(name, f"{nest + 1}.0.0", (edges[nest],)) for nest in nests)
    return index, [Root(f"bird{bird}", f"bp-bird{bird}") for bird in range(birds)]


def _versions(dice: Random, name: str, count: int, below: list[str]) -> tuple[Candidate, ...]:
    targets = dice.sample(below, min(dice.randint(1, 2), len(below)))
    found = []
    for number in range(count):
        major, minor = 1 + number * 4 // count, number % (-(-count // 4))
        edges = tuple(
            Edge(target, f"^{max(1, major - dice.randint(0, 1))}.{dice.randint(0, minor)}", f"need{place}", "shared")
            for place, target in enumerate(targets)
        )
        found.append(_candidate(name, f"{major}.{minor}.0", edges))
    return tuple(found)


def _candidate(name: str, version: str, edges: tuple[Edge, ...]) -> Candidate:
    return Candidate(name, version, "sha256:", "public", "application", _SIZE, edges)
