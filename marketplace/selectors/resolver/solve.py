"""The one entrance of the resolver.

Source: blueprints.md §5 of the design.
"""

from collections.abc import Iterable

from marketplace.selectors.resolver.explain import Conflict, Question, explain
from marketplace.selectors.resolver.graph import (
    Budget,
    BudgetExceeded,
    Index,
    Lock,
    Options,
    OutOfSteps,
    Root,
    TooLarge,
    Unresolvable,
)
from marketplace.selectors.resolver.search import Search
from marketplace.selectors.resolver.words import conflict_text, too_large_text, undecided_text


def solve(
    *,
    index: Index,
    roots: Iterable[Root],
    locked: Lock | None = None,
    options: Options | None = None,
    budget: Budget | None = None,
) -> Lock:
    """Return exact versions for the roots, for what runs (``locked``), and for all that these need.

    Pure: no clock, no database, no network; equal input gives an equal answer, whatever its order. ``index`` is what
    the reader may install (the nearest owner of each name, nothing yanked); a locked version is a candidate of its own
    Application alone. A root with the name of a locked Application states a range for it.

    :raises Conflict: there is no solution.
    :raises BudgetExceeded: that could not be found out within the budget.
    :raises Unresolvable: two roots have one name, a Blueprint that stands once is asked for twice, or the search came
        to more than ``MAX_NODES`` Applications.
    """
    question = Question(index, tuple(roots), locked or Lock(), options or Options())
    limit = budget or Budget()
    try:
        search = Search(question.problem(limit))
        lock = search.run()
    except TooLarge:
        raise Unresolvable(too_large_text()) from None
    except OutOfSteps:
        raise BudgetExceeded(undecided_text()) from None
    if lock is not None:
        return lock
    explanation = explain(question, search, Budget(limit.steps // 2))
    raise Conflict(explanation, conflict_text(question, explanation))
