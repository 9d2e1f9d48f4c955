"""Random questions for the resolver, one per seed: small enough for brute force, nasty enough to matter."""

import random

from marketplace.selectors.capacity import Footprint
from marketplace.selectors.resolver import (
    Candidate,
    Choice,
    Edge,
    Index,
    Lock,
    Moves,
    Options,
    Root,
    Unresolvable,
    solve,
)
from tests.marketplace.resolver_oracle import Asked, is_single

NAMES = ("bp-aa", "bp-bb", "bp-cc", "bp-dd", "bp-ee")
VERSIONS = ("1.0.0", "1.1.0", "2.0.0", "2.1.0-rc.1")
RANGES = ("^1", "^2", "1.0.x", "^1 || ^2", ">=1.1 <3", "^2.1.0-rc.1")
SHARING = (("shared", "dedicated"), ("shared", "dedicated"), ("shared",), ("dedicated",), ("singleton",))


def random_question(seed: int) -> Asked | None:
    """Return a question; None when this seed asks for two of what can stand only once, which is refused at once."""
    dice = random.Random(seed)
    index = _index(dice, is_cyclic=dice.random() < 0.2)
    roots = tuple(
        Root(f"app{number}", dice.choice(NAMES[:3]), dice.choice(("", "", *RANGES)))
        for number in range(dice.randint(1, 3))
    )
    locked = _locked(dice, index) if dice.random() < 0.5 else Lock()
    running = locked.applications()
    choices: tuple[Choice, ...] = ()
    if dice.random() < 0.3:
        choices = (Choice("app0", dice.choice(("d0", "d1")), dice.choice(("", "app1", *running))),)
    options = Options(
        moves=dice.choice(tuple(Moves)),
        upgrade=frozenset(dice.sample(running, min(len(running), dice.randint(0, 1)))),
        choices=choices,
        config=dice.choice(({}, {"app0": {"extra": True}}, {"app1": {"extra": False}})),
    )
    asked = Asked(index, roots, locked, options)
    given = [root.blueprint for root in roots] + [entry.candidate.blueprint for entry in locked.entries]
    return None if any(given.count(name) > 1 and is_single(asked, name) for name in given) else asked


def _index(dice: random.Random, *, is_cyclic: bool) -> Index:
    return {
        name: _candidates(dice, name, NAMES if is_cyclic else NAMES[position + 1 :])
        for position, name in enumerate(NAMES)
    }


def _candidates(dice: random.Random, name: str, targets: tuple[str, ...]) -> tuple[Candidate, ...]:
    sharing = dice.choice(SHARING)
    return tuple(
        Candidate(
            name,
            version,
            "sha256:",
            dice.choice(("public", "public", "org")),
            "application",
            Footprint(1, 1, 1),
            depends=_edges(dice, targets),
            sharing=sharing if dice.random() < 0.8 else dice.choice(SHARING),
            blocks=dice.choice(((), (), ("1.0.x",))),
            defaults={"extra": dice.random() < 0.5},
        )
        for version in dice.sample(VERSIONS, dice.choice((1, 2, 2, 3, 3, 3)) if dice.random() < 0.9 else 0)
    )


def _edges(dice: random.Random, targets: tuple[str, ...]) -> tuple[Edge, ...]:
    return tuple(
        Edge(
            dice.choice(targets),
            dice.choice(RANGES),
            f"d{number}",
            dice.choice(("shared", "shared", "dedicated")),
            dice.choice(("", "", "", "{{ .config.extra == true }}")),
        )
        for number in range(dice.randint(0, 2) if targets else 0)
    )


def _locked(dice: random.Random, index: Index) -> Lock:
    """What runs is the answer to an older question, on an index of which some is yanked today."""
    older = _index(dice, is_cyclic=False)
    known = {name: (*older[name], *index[name]) for name in NAMES}
    merged = {name: tuple({each.version: each for each in known[name]}.values()) for name in NAMES}
    try:
        return solve(index=merged, roots=[Root("run0", dice.choice(NAMES)), Root("run1", dice.choice(NAMES))])
    except Unresolvable:
        return Lock()
