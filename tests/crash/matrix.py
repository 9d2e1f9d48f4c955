"""One flow of money: rehearsed once undisturbed, then played again from each of its steps with a death in it."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from billing.services.checkout_types import CheckoutInProgress
from billing.services.psp import ProcessorUnavailable
from catalyst.core import failpoints
from catalyst.core.errors import DomainError
from catalyst.core.invariants import check_invariants
from tests.crash.deaths import Death
from tests.crash.facts import facts
from tests.crash.snapshot import Snapshot
from tests.crash.stage import Refused, Stage, open_stage
from tests.life.books import assert_books
from tests.stripe_standin import Call

Who = Literal["person", "worker", "world"]
#: Rounds of a worker, a beat apart, after which everything has to be at rest: the longest wait is for a lost session,
#: which is looked up when it has expired.
_MOST_ROUNDS = 9
#: Longer than every lease and every pause after a first failure; several fit into the hour of a renewal's draft.
BEAT = timedelta(minutes=11)
_MOST_PRESSES = 3


@dataclass(frozen=True)
class Step:
    """One process of a flow: a person's press, a worker's round; or the world outside, which never dies."""

    who: Who
    act: Callable[[Stage], object]
    #: The press fails, and the person leaves it at that.
    is_given_up: bool = False


@dataclass(frozen=True)
class Flow:
    """A way of money from its beginning to its end. ``prepare`` runs undisturbed."""

    name: str
    prepare: Callable[[Stage], object]
    steps: tuple[Step, ...]
    #: The points of money that it comes by, those of inbox and outbox left out.
    walks: frozenset[str] = frozenset()


@dataclass(frozen=True, order=True)
class Place:
    """The nth hit of a point, or call of an operation of the processor, within one step."""

    step: int
    name: str
    nth: int = 1


@dataclass
class Rehearsal:
    """What a clean run of a flow came by and came to, and the moment before each of its steps."""

    flow: Flow
    stage: Stage
    points: list[Place] = field(default_factory=list)
    calls: list[Place] = field(default_factory=list)
    moments: list[Snapshot] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def run_case(self, place: Place, death: Death, *, returns: int = 0, again: Death | None = None) -> None:
        """Die at a place, bring the flow to its end, and assert that it came to what the clean run came to.

        ``returns``: a person whose press died presses again after that many rounds of the workers.
        ``again``: how the first process of the recovery dies as well; it may survive.

        :raises AssertionError: the place was not come to, or something is not as it must be.
        """
        stage, doomed = self.stage, self.flow.steps[place.step]
        stage.restore(self.moments[place.step])
        stage.collect_news()
        assert _die(stage, doomed, place, death), "was not reached"
        assert_safe()
        _recover(stage, doomed, returns=returns, again=again)
        for step in self._rest(place.step):
            _undisturbed(stage, step)
        found = come_to_rest(stage)
        if not doomed.is_given_up:
            wrong = {name: (was, found[name]) for name, was in self.facts.items() if was != found[name]}
            assert wrong == {}, f"expected, found: {wrong}"

    def _rest(self, number: int) -> list[Step]:
        """Return the steps behind one; the last rounds of the workers are those that come to rest."""
        rest = list(self.flow.steps[number + 1 :])
        while rest and rest[-1].who == "worker":
            rest.pop()
        return rest


def person(act: Callable[[Stage], object], *, gives_up: bool = False) -> Step:
    return Step("person", act, gives_up)


def worker() -> Step:
    return Step("worker", Stage.round)


def world(act: Callable[[Stage], object]) -> Step:
    return Step("world", act)


@contextmanager
def rehearse(flow: Flow) -> Iterator[Rehearsal]:
    """Run a flow undisturbed in a world of its own, and lend that world."""
    with open_stage() as stage:
        flow.prepare(stage)
        run = Rehearsal(flow, stage)
        for number, step in enumerate(flow.steps):
            run.moments.append(stage.remember())
            hits, before = Counter(failpoints.hits), len(stage.standin.calls.find())
            _undisturbed(stage, step)
            if step.who == "world":
                continue
            met = Counter(failpoints.hits) - hits
            run.points += [Place(number, name, nth) for name in sorted(met) for nth in range(1, met[name] + 1)]
            run.calls += _writes(number, stage.standin.calls.find()[before:])
        run.facts = come_to_rest(stage)
        yield run


def _writes(number: int, calls: list[Call]) -> list[Place]:
    """Return the calls that changed something at the processor, each counted among all of its operation."""
    seen, places = Counter[str](), list[Place]()
    for call in calls:
        seen[call.operation] += 1
        if call.has_effect and call.fault is None:
            places.append(Place(number, call.operation, seen[call.operation]))
    return places


def _die(stage: Stage, step: Step, place: Place, death: Death) -> bool:
    """Let a step die; return whether the place was come to. A person may be told, a worker knows what to do."""
    told = (Refused, DomainError) if step.who == "person" else ()

    def act() -> None:
        with suppress(*told):
            step.act(stage)

    return death(stage.standin, act, place.name, place.nth)


def _undisturbed(stage: Stage, step: Step) -> None:
    stage.collect_news()
    told = (Refused, DomainError) if step.is_given_up else ()
    with suppress(*told):
        step.act(stage)


def _recover(stage: Stage, step: Step, *, returns: int, again: Death | None) -> None:
    """Let beat come round again, or the person come back until they are told something definite."""
    beats = returns if step.who == "person" else 1
    if again is not None:
        stage.advance(BEAT)
        stage.collect_news()
        again(stage.standin, stage.round, "", 0)
        beats = max(beats, 1)
    for _ in range(beats):
        beat(stage)
    if step.who == "person" and not step.is_given_up:
        _press(stage, step)


def _press(stage: Stage, step: Step) -> None:
    for _ in range(_MOST_PRESSES):
        try:
            step.act(stage)
        except (Refused, ProcessorUnavailable, CheckoutInProgress):
            beat(stage)
        except DomainError:
            # Done before, as they are told; what it came to decides.
            return
        else:
            return
    raise AssertionError("pressed in vain")


def beat(stage: Stage) -> None:
    """Let time pass, and everything that runs by itself come round once."""
    stage.advance(BEAT)
    stage.collect_news()
    stage.round()


def come_to_rest(stage: Stage) -> dict[str, Any]:
    """Let everything come to rest; assert that it stays so, and that all books agree. Return what it came to."""
    for _ in range(_MOST_ROUNDS):
        beat(stage)
        if stage.is_quiet():
            break
    else:
        raise AssertionError("does not come to rest")
    found = facts(stage.standin)
    beat(stage)
    assert facts(stage.standin) == found, "another round changed something"
    assert_books(stage.standin)
    return found


def assert_safe() -> None:
    """Assert what holds at every commit; I25 and later say that work is being done."""
    assert [str(each) for each in check_invariants() if each.id < "I25"] == []
