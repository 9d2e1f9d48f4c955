"""The crash matrix can tell right from wrong: in each way to die, one known wrong way of doing it is found out."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import pytest
from django.utils import timezone

from billing.services.credit_grants import request_grant
from catalyst.core.money import Money
from tests.crash import controls, deaths
from tests.crash.deaths import Death
from tests.crash.flows import FLOWS
from tests.crash.matrix import Flow, person, rehearse, worker
from tests.crash.stage import Stage

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.breaks_invariants,
    pytest.mark.usefixtures("no_bell", "catalyst_home"),
]

NAMED = {flow.name: flow for flow in FLOWS}


def give_blindly(stage: Stage) -> None:
    """Give credit with a new key at each press: a person, or a program, that repeats what was not answered."""
    request_grant(
        organization=stage.shop.organization,
        amount=Money(1_000, "OMR"),
        reason="The outage",
        actor=stage.shop.staff,
        now=timezone.now(),
        key=f"grant-{timezone.now().timestamp()}",
    )


@dataclass(frozen=True)
class Control:
    """A wrong way, and the death that it does not survive."""

    flow: Flow
    death: Death
    name: str
    wrong: Callable[[], AbstractContextManager[None]]


CONTROLS = {
    "exception, a new key": Control(
        NAMED["part refund"],
        deaths.raising,
        "refund.call.after_call_before_record",
        controls.a_new_key_for_every_call,
    ),
    "kill -9, no intent": Control(
        NAMED["sale by card"], deaths.killed, "checkout.T2.after_call_before_record", controls.calls_without_intent
    ),
    "kill -9, a line without a look": Control(
        NAMED["renewal by card"],
        deaths.killed,
        "renewal.card.item.after_call_before_record",
        controls.a_line_without_a_look,
    ),
    "connection lost, done before the effect": Control(
        NAMED["sale by card"], deaths.cut, "invoice.issue.in_tx", controls.done_before_the_effect
    ),
    "commit unanswered, blindly again": Control(
        Flow("grant", lambda stage: None, (person(give_blindly), worker())),
        deaths.unanswered,
        "grant.post.in_tx",
        nullcontext,
    ),
    "reply lost, a new key": Control(
        NAMED["part refund"], deaths.lost_reply, "refunds.create", controls.a_new_key_for_every_call
    ),
}


@pytest.mark.parametrize("name", CONTROLS)
def test_a_wrong_way_is_found_out(name: str) -> None:
    control = CONTROLS[name]
    with rehearse(control.flow) as run:
        place = max(place for place in [*run.points, *run.calls] if place.name == control.name)
        with control.wrong(), pytest.raises(AssertionError) as found:
            run.run_case(place, control.death)
    assert "was not reached" not in str(found.value)
