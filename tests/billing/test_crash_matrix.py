"""The crash matrix over the life of money: every named point of every flow, by every way to die; then all is as if not.

Rules: docs/checkout.md, "Recovery", and docs/subscriptions.md. A test rehearses one flow undisturbed, then plays it
again once for each place and each way to die there: the workers come round, the person presses again, and both our
books and the processor's must show what the clean run showed, with every effect made once.
"""

import os
import traceback
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from catalyst.core.failpoints import REGISTRY
from tests.crash import deaths
from tests.crash.deaths import Death
from tests.crash.flows import FLOWS
from tests.crash.matrix import Flow, Place, Rehearsal, rehearse

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(900),
    pytest.mark.usefixtures("no_bell", "catalyst_home"),
]

#: Met at each event, relay and delivery: died at in all ways in one flow, and where an effect may be lost in each flow.
_EVERYWHERE = ("inbox.", "outbox.")
_WITHOUT_EFFECT = ("inbox.store.", "outbox.relay.")
#: What goes into Git and comes from it is crashed in tests/marketplace: test_deliver_crash.py, test_push_crash.py.
_ELSEWHERE = ("install.", "push.", "platform.", "job.", "secret.", "change.apply.", "change.give_back.", "change_push.")
#: Second deaths, in the recovery of a first one, for each flow.
_PAIRS = 4
_SEED = int(os.environ.get("CATALYST_CRASH_SEED", "2026"))


def cases(run: Rehearsal) -> Iterator[tuple[str, Place, Death]]:
    """Exceptions at all places; every other way once at every point; a COMMIT is unanswered where one comes next.

    The ways differ in what the process itself can still do, not in the rows that it leaves behind.
    """
    seen = set[str]()
    for place in sorted(run.points):
        is_first, is_home = place.name not in seen, run.flow is home_of(place.name)
        is_everywhere = place.name.startswith(_EVERYWHERE)
        seen.add(place.name)
        if (is_everywhere and not is_first) or (place.name.startswith(_WITHOUT_EFFECT) and not is_home):
            continue
        yield "exception", place, deaths.raising
        if is_first and is_home:
            yield "kill -9", place, deaths.killed
            yield "connection lost", place, deaths.cut
            if place.name.endswith(".in_tx"):
                yield "commit unanswered", place, deaths.unanswered
    for place in sorted(run.calls):
        yield "reply lost", place, deaths.lost_reply
        if run.flow is FLOWS[0]:
            yield "reply reset", place, deaths.reset_reply


def home_of(name: str) -> Flow:
    """Return the first flow that walks a point; the first of all for what each flow meets."""
    return next((flow for flow in FLOWS if name in flow.walks), FLOWS[0])


def play(run: Rehearsal) -> Iterator[str]:
    """Play every case; a person comes back at once, or after a round. Return what went wrong."""
    for number, (kind, place, death) in enumerate(cases(run)):
        returns = number % 2
        if said := outcome(run, place, death, returns=returns):
            yield f"{kind} at {place}, back after {returns}: {said}"


def play_pairs(run: Rehearsal, random: Random) -> Iterator[str]:
    """Play some random places, with a second death in the recovery."""
    for _ in range(_PAIRS):
        place, nth = random.choice(run.points), random.randint(1, 5)
        if said := outcome(run, place, deaths.raising, again=deaths.somewhere(nth)):
            yield f"seed {_SEED}: exception at {place}, then at the {nth}. point of the recovery: {said}"


def outcome(run: Rehearsal, place: Place, death: Death, *, returns: int = 0, again: Death | None = None) -> str:
    """Play one case; return what went wrong and where it was seen, or an empty string."""
    try:
        run.run_case(place, death, returns=returns, again=again)
    except Exception as error:
        seen = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {error} ({Path(seen.filename).name}:{seen.lineno} {seen.line})"
    return ""


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_a_flow_ends_as_if_nothing_had_died(flow: Flow) -> None:
    with rehearse(flow) as run:
        wrong = [*play(run), *play_pairs(run, Random(f"{_SEED}:{flow.name}"))]

    assert wrong == [], "\n".join(wrong)
    assert {place.name for place in run.points if not place.name.startswith(_EVERYWHERE)} == flow.walks


def test_every_point_of_money_is_walked_by_some_flow() -> None:
    walked = frozenset[str]().union(*(flow.walks for flow in FLOWS))

    assert {name for name in REGISTRY if not name.startswith((*_EVERYWHERE, *_ELSEWHERE))} == walked
