"""The resolver against resolvelib, where both mean the same: one shared version per name, no cycles, nothing locked."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import resolvelib
from hypothesis import given, settings
from hypothesis import strategies as st

from marketplace.selectors.resolver import Candidate, Conflict, Edge, Index, Root, solve
from marketplace.selectors.version_ranges import is_allowed, parse_version
from tests.marketplace.resolver_rows import catalogue, found, needs, version

RANGES = ("^1", "^2", "^3", "1.x || 3.x", ">=1.1 <3", "~2.1", "^1.1")
VERSIONS = ("1.0.0", "1.1.0", "2.0.0", "2.1.0", "3.0.0")


class Provider(resolvelib.AbstractProvider[Edge, Candidate, str]):
    def __init__(self, index: Index) -> None:
        self.index = index

    def identify(self, requirement_or_candidate: Edge | Candidate) -> str:
        return requirement_or_candidate.blueprint

    def get_preference(self, identifier: str, *_state: Any, **_more: Any) -> str:
        return identifier

    def find_matches(
        self,
        identifier: str,
        requirements: Mapping[str, Iterator[Edge]],
        incompatibilities: Mapping[str, Iterator[Candidate]],
    ) -> list[Candidate]:
        ranges = [edge.range for edge in requirements[identifier]]
        bad = {each.version for each in incompatibilities[identifier]}
        fitting = [
            each
            for each in self.index.get(identifier, ())
            if each.version not in bad and all(is_allowed(each.version, text) for text in ranges)
        ]
        return sorted(fitting, key=lambda each: parse_version(each.version), reverse=True)

    def is_satisfied_by(self, requirement: Edge, candidate: Candidate) -> bool:
        return is_allowed(candidate.version, requirement.range)

    def get_dependencies(self, candidate: Candidate) -> Iterable[Edge]:
        return candidate.depends


@st.composite
def indexes(draw: st.DrawFn) -> Index:
    names = [f"n{number}" for number in range(7)]
    versions = []
    for position, name in enumerate(names):
        below = names[position + 1 :]
        for text in draw(st.lists(st.sampled_from(VERSIONS), min_size=1, max_size=4, unique=True)):
            targets = draw(st.lists(st.sampled_from(below), max_size=2, unique=True)) if below else []
            versions.append(version(name, text, *[needs(each, draw(st.sampled_from(RANGES))) for each in targets]))
    return catalogue(*versions)


def by_resolvelib(index: Index, wanted: Sequence[Edge]) -> dict[str, str] | None:
    try:
        result = resolvelib.Resolver(Provider(index), resolvelib.BaseReporter()).resolve(wanted, max_rounds=2000)
    except resolvelib.ResolutionImpossible:
        return None
    return {name: candidate.version for name, candidate in result.mapping.items()}


def by_us(index: Index, wanted: Sequence[Edge]) -> dict[str, str] | None:
    asking = version("root", "1.0.0", *wanted)
    try:
        lock = solve(index={**index, "bp-root": (asking,)}, roots=[Root("root", "bp-root")])
    except Conflict:
        return None
    return {f"bp-{name.removeprefix('shared-')}": text for name, text in found(lock).items() if name != "root"}


@given(indexes(), st.sampled_from(RANGES), st.sampled_from(RANGES))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_both_find_a_solution_or_neither(index: Index, first: str, second: str) -> None:
    wanted = [needs("n0", first), needs("n1", second)]

    theirs, ours = by_resolvelib(index, wanted), by_us(index, wanted)

    assert (theirs is None) == (ours is None)


@given(indexes(), st.sampled_from(RANGES))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_theirs_is_a_solution_to_us(index: Index, first: str) -> None:
    """Every version that resolvelib chose is published alone: then it is our answer too, Application by Application."""
    wanted = [needs("n0", first)]
    theirs = by_resolvelib(index, wanted) or {}

    only = {name: tuple(each for each in index[name] if each.version == text) for name, text in theirs.items()}

    assert (by_us(only, wanted) or {}).items() <= theirs.items()
