"""Cycles, size and time: refused where they are published, and a search that always ends."""

from itertools import pairwise
from time import process_time

import pytest

from marketplace.selectors.resolver import (
    MAX_DEPTH,
    MAX_NODES,
    Budget,
    BudgetExceeded,
    Conflict,
    Index,
    Root,
    Unresolvable,
    solve,
)
from tests.marketplace.resolver_rows import catalogue, found, needs, version


def chain(length: int) -> Index:
    names = [f"step{number}" for number in range(length)]
    links = [version(name, "1.0.0", needs(below, "^1")) for name, below in pairwise(names)]
    return catalogue(*links, version(names[-1], "1.0.0"))


def pigeons(count: int) -> tuple[Index, list[Root]]:
    """More pigeons than holes, and each hole takes one: impossible, and hopeless to find out by trying."""
    holes = range(count - 1)
    birds = [
        version(f"bird{bird}", f"{hole + 1}.0.0", needs(f"hole{hole}", f"{bird}.x", alias="hole"))
        for bird in range(1, count + 1)
        for hole in holes
    ]
    places = [version(f"hole{hole}", f"{bird}.0.0") for hole in holes for bird in range(1, count + 1)]
    return catalogue(*birds, *places), [Root(f"bird{bird}", f"bp-bird{bird}") for bird in range(1, count + 1)]


def test_a_hopeless_search_ends_undecided() -> None:
    index, roots = pigeons(12)
    budget = Budget()

    started = process_time()
    with pytest.raises(BudgetExceeded, match="could not decide in time"):
        solve(index=index, roots=roots, budget=budget)

    assert process_time() - started < 2
    assert budget.steps < budget.used < 1.1 * budget.steps


def test_the_same_search_is_decided_when_it_is_small() -> None:
    index, roots = pigeons(3)

    with pytest.raises(Conflict):
        solve(index=index, roots=roots)


def test_undecided_is_not_called_impossible() -> None:
    index, roots = pigeons(4)
    fitting = {**index, "bp-bird4": (version("bird4", "9.0.0"),)}

    with pytest.raises(BudgetExceeded):
        solve(index=fitting, roots=roots, budget=Budget(steps=20))
    assert len(solve(index=fitting, roots=roots).entries) == 7


def test_an_explanation_that_runs_out_of_steps_says_that_it_may_be_longer_than_needed() -> None:
    index, roots = pigeons(4)
    spent = Budget()
    with pytest.raises(Conflict) as whole:
        solve(index=index, roots=roots, budget=spent)

    with pytest.raises(Conflict) as cut:
        solve(index=index, roots=roots, budget=Budget(steps=spent.used))

    assert whole.value.explanation.is_minimal
    assert not cut.value.explanation.is_minimal


def test_the_longest_path_that_is_allowed() -> None:
    assert len(solve(index=chain(MAX_DEPTH), roots=[Root("step0", "bp-step0")]).entries) == MAX_DEPTH

    with pytest.raises(Conflict, match=r"deeper than 8: bp-step0 → .* → bp-step8\."):
        solve(index=chain(MAX_DEPTH + 1), roots=[Root("step0", "bp-step0")])


def test_a_shorter_path_is_found_where_there_is_one() -> None:
    index = {
        **chain(MAX_DEPTH + 1),
        "bp-step4": (version("step4", "1.1.0", needs("step5", "^1")), version("step4", "1.0.0")),
    }

    assert found(solve(index=index, roots=[Root("step0", "bp-step0")]))["shared-step4"] == "1.0.0"


def test_no_more_applications_than_are_allowed() -> None:
    edges = [needs("sql", "^1", sharing="dedicated", alias=f"d{number}") for number in range(9)]
    index = catalogue(version("blog", "1.0.0", *edges), version("sql", "1.0.0"))

    ten = solve(index=index, roots=[Root(f"blog{number}", "bp-blog") for number in range(10)])

    assert len(ten.entries) == MAX_NODES
    with pytest.raises(Unresolvable, match="at most 100 Applications"):
        solve(index=index, roots=[Root(f"blog{number}", "bp-blog") for number in range(11)])


def test_a_version_that_runs_in_a_circle_is_avoided() -> None:
    index = catalogue(
        version("aa", "1.0.0", needs("bb", "^1")),
        version("bb", "1.0.0"),
        version("bb", "1.1.0", needs("aa", "^1", sharing="dedicated")),
    )

    assert found(solve(index=index, roots=[Root("aa", "bp-aa")])) == {"shared-bb": "1.0.0", "aa": "1.0.0"}


def test_work_grows_with_what_is_reached_not_with_the_index() -> None:
    index = chain(MAX_DEPTH)
    crowd = {f"bp-x{number}": (version(f"x{number}", "1.0.0", needs("step7", "^1")),) for number in range(2000)}
    small, large = Budget(), Budget()

    solve(index=index, roots=[Root("step0", "bp-step0")], budget=small)
    solve(index={**index, **crowd}, roots=[Root("step0", "bp-step0")], budget=large)

    assert small.used == large.used
