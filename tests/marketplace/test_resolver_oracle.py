"""The resolver against brute force on small random indexes, cyclic ones included."""

import random
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from marketplace.selectors.resolver import Budget, BudgetExceeded, Choice, Conflict, Lock, Unresolvable, solve
from tests.marketplace.resolver_oracle import Asked, TooLarge, Versions, ranking, solutions
from tests.marketplace.resolver_questions import random_question

FEW = settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.filter_too_much])
#: What is asked, and every solution.
Question = tuple[Asked, list[Versions]]


@st.composite
def questions(draw: st.DrawFn) -> Question:
    asked = random_question(draw(st.integers(0, 1_000_000)))
    assume(asked is not None)
    assert asked is not None
    try:
        return asked, list(solutions(asked))
    except TooLarge:
        assume(False)
        raise


def answer(asked: Asked, budget: Budget | None = None) -> Lock:
    return solve(index=asked.index, roots=asked.roots, locked=asked.locked, options=asked.options, budget=budget)


def versions_of(lock: Lock) -> Versions:
    return {entry.application: entry.candidate for entry in lock.entries}


@given(questions())
@settings(FEW, max_examples=400)
def test_finds_a_solution_if_and_only_if_there_is_one(question: Question) -> None:
    asked, known = question
    try:
        lock = answer(asked)
    except Conflict:
        assert known == []
    else:
        found = versions_of(lock)
        assert any(found.items() <= each.items() and set(each) - set(found) <= unneeded(asked) for each in known)


def unneeded(asked: Asked) -> set[str]:
    """What may have left the lock, because what it came along for has moved."""
    return {entry.application for entry in asked.locked.entries if entry.requested_by}


@given(questions())
@FEW
def test_no_single_application_could_have_a_better_version(question: Question) -> None:
    asked, known = question

    found = versions_of(answer(asked)) if known else {}

    for other in known:
        changed = [name for name in found if name in other and other[name] != found[name]]
        if len(changed) == 1:
            assert rank(asked, changed[0], other) > rank(asked, changed[0], found)


@given(questions())
@FEW
def test_takes_the_best_of_everything_when_that_works(question: Question) -> None:
    asked, known = question
    best = [each for each in known if all(rank(asked, name, each) == 0 for name in each)]

    for each in best:
        assert versions_of(answer(asked)).items() <= each.items()


def rank(asked: Asked, application: str, versions: Versions) -> int:
    """Return the place of a version among those its Application may have."""
    return ranking(asked, application, versions[application].blueprint).index(versions[application])


@given(questions(), st.randoms(use_true_random=False))
@FEW
def test_the_order_of_the_input_changes_nothing(question: Question, dice: random.Random) -> None:
    asked, _known = question
    other = Asked(
        {name: tuple(shuffled(asked.index[name], dice)) for name in shuffled(asked.index, dice)},
        tuple(shuffled(asked.roots, dice)),
        Lock(tuple(shuffled(asked.locked.entries, dice))),
        asked.options,
    )

    assert said(asked) == said(other)


def shuffled(things: Iterable, dice: random.Random) -> list:
    items = list(things)
    dice.shuffle(items)
    return items


def said(asked: Asked) -> object:
    try:
        return answer(asked)
    except Unresolvable as error:
        return type(error), error.message, error.extra


@given(questions())
@FEW
def test_an_explanation_is_true_and_holds_nothing_that_could_be_left_out(question: Question) -> None:
    asked, known = question
    assume(not known)
    try:
        answer(asked)
    except Conflict as conflict:
        explanation = conflict.explanation
    else:
        assume(False)

    keys = sorted({(each.application, each.alias, each.blueprint, each.range) for each in explanation.demands})
    assert explanation.is_minimal
    assert list(solutions(replace(asked, demands=keys))) == []
    for left_out in keys:
        assert any(solutions(replace(asked, demands=[key for key in keys if key != left_out])))


@given(questions())
@FEW
def test_every_way_out_is_one(question: Question) -> None:
    asked, known = question
    assume(not known)
    try:
        answer(asked)
    except Conflict as conflict:
        explanation = conflict.explanation
    else:
        assume(False)

    offered = {(way.kind, way.application, way.alias) for way in explanation.relaxations}
    for kind, application, alias in offered:
        assert any(solutions(relaxed(asked, kind, application, alias)))
    for demand in explanation.demands:
        if not demand.alias and any(solutions(relaxed(asked, "range", demand.application, ""))):
            assert ("range", demand.application, "") in offered


def relaxed(asked: Asked, kind: str, application: str, alias: str) -> Asked:
    if kind == "range":
        roots = tuple(replace(root, range="") if root.application == application else root for root in asked.roots)
        return replace(asked, roots=roots)
    if kind == "unlock":
        unlocked = asked.options.unlocked | {application}
        return replace(asked, options=replace(asked.options, unlocked=unlocked))
    choices = (*asked.options.choices, Choice(application, alias))
    return replace(asked, options=replace(asked.options, choices=choices))


@given(questions(), st.integers(0, 60))
@FEW
def test_a_small_budget_changes_no_answer_but_may_withhold_it(question: Question, steps: int) -> None:
    asked, _known = question
    try:
        lock = answer(asked, Budget(steps))
    except BudgetExceeded:
        with pytest.raises(BudgetExceeded):
            answer(asked, Budget(steps))
    except Conflict:
        with pytest.raises(Conflict):
            answer(asked)
    else:
        assert lock == answer(asked)
