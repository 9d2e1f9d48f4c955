"""Any order of money acts, deaths and faults leaves the amounts of a small reference model; mutants do not.

``CATALYST_MONEY=examples,steps,seed`` makes the run longer or another one.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.test import TransactionTestCase
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from billing.models import Invoice, Subscription
from billing.selectors.refunds import Refundable, RefundPlan, plan_refund
from billing.services import card_credit, change_pricing, checkout_settle, refunds, subscription_renewals
from billing.services.ledger import Entry, LockedAccount, lock_account, post_entries
from catalyst.core.models import Currency
from tests.clock import MovableClock
from tests.conftest import owner_connection
from tests.life.bench import CALM, Bench, open_bench
from tests.life.money_machine import Differs, MoneyMachine
from tests.stripe_standin import StripeStandIn

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]

_EXAMPLES, _STEPS, _SEED = map(int, os.environ.get("CATALYST_MONEY", "12,40,2026").split(","))


@pytest.fixture
def machine(transactional_db: None, catalyst_home: Path, no_bell: None, settings: Any) -> type[MoneyMachine]:
    """Return a machine whose every example starts from an empty database."""

    @contextmanager
    def enter_clock(standin: StripeStandIn) -> Iterator[MovableClock]:
        with owner_connection() as owner, MovableClock(owner, standin) as movable:
            yield movable

    def opened() -> Bench:
        return open_bench(
            empty=lambda: TransactionTestCase._fixture_teardown(None),  # type: ignore[attr-defined]
            enter_clock=enter_clock,
            use_processor=lambda url: setattr(settings, "STRIPE_API_BASE", url),
        )

    class Machine(MoneyMachine):
        open_bench = staticmethod(opened)
        seen = Counter()
        wrong = []

    return Machine


def _run(machine: type[MoneyMachine], *, examples: int, steps: int) -> None:
    """Run it with a fixed seed. Nothing is shrunk: a replay on a database takes as long as the first run."""
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        seed(_SEED)(machine),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_every_amount_is_the_models(machine: type[MoneyMachine]) -> None:
    print(f"CATALYST_MONEY={_EXAMPLES},{_STEPS},{_SEED}")

    _run(machine, examples=_EXAMPLES, steps=_STEPS)

    print(machine.seen)
    assert machine.wrong == []
    for act in ("sale", "page", "renewal", "refund"):
        assert machine.seen[act] > 0, act


# --- stories: the acts that meet the rule which a mutant breaks -------------------------------------------------------
def _refund_a_part(world: MoneyMachine) -> None:
    world.buy("A", "m", 10_000, CALM, "in order")
    world.pay("A", CALM, "in order")
    world.refund("A", 0, 1_000, CALM, "in order")


def _leave_a_page(world: MoneyMachine) -> None:
    world.buy("A", "m", 10_000, CALM, "in order")
    world.expire("A", CALM, "in order")


def _grow_after_a_week(world: MoneyMachine) -> None:
    world.begin("from credit", "")
    world.redeem("A", 200_000, CALM, "in order")
    world.wait(170, CALM, "in order")
    world.change("A", "l", 0, CALM, "in order")


def _renew_by_card_and_credit(world: MoneyMachine) -> None:
    world.begin("by card, with credit", "")
    world.reach_next_moment("A", CALM, "in order")


def _renew_from_credit(world: MoneyMachine) -> None:
    world.begin("from credit", "")
    world.redeem("A", 200_000, CALM, "in order")
    world.reach_next_moment("A", CALM, "in order")


STORIES = [_refund_a_part, _leave_a_page, _grow_after_a_week, _renew_by_card_and_credit, _renew_from_credit]


# --- mutants: each breaks one rule of the money, and the machine has to see it ----------------------------------------
def _refund_credit_first(monkeypatch: pytest.MonkeyPatch) -> None:
    def mutant(invoice: Invoice, amount_minor: int, left: Refundable) -> RefundPlan:
        credit = min(amount_minor, invoice.credit_minor - invoice.credit_refunded_minor)
        return replace(plan_refund(invoice, amount_minor, left), credit_minor=credit, card_minor=amount_minor - credit)

    monkeypatch.setattr(refunds, "plan_refund", mutant)


def _keep_holds_of_a_lapsed_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkout_settle, "end_holds", lambda checkout, *, state, now: 0)


def _charge_a_change_for_the_whole_period(monkeypatch: pytest.MonkeyPatch) -> None:
    def mutant(difference_minor: int, subscription: Subscription, currency: Currency, *, now: datetime) -> int:
        return max(difference_minor, 0)

    monkeypatch.setattr(change_pricing, "price_of_rest", mutant)


def _forget_credit_in_card_renewals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(card_credit, "_credit_for", lambda account, subscription, bill: 0)


def _spend_twice_at_renewal(monkeypatch: pytest.MonkeyPatch) -> None:
    take_credit = subscription_renewals._take_credit

    def mutant(account: LockedAccount, subscription: Subscription, invoice: Invoice, *, now: datetime) -> None:
        take_credit(account, subscription, invoice, now=now)
        again = lock_account(account.organization_id)
        spend = min(invoice.total_minor, again.available_minor)
        if spend:
            entry = Entry("expiry", -spend, "breakage", f"again:{invoice.pk}")
            post_entries(again, [entry], actor="mutant")

    monkeypatch.setattr(subscription_renewals, "_take_credit", mutant)


@pytest.mark.breaks_invariants
@pytest.mark.parametrize(
    ("mutate", "story", "seen_in"),
    [
        (_refund_credit_first, _refund_a_part, "A: found and expected refunded: (0, 1000)"),
        (_keep_holds_of_a_lapsed_page, _leave_a_page, "A: found and expected held: (10000, 0)"),
        (_charge_a_change_for_the_whole_period, _grow_after_a_week, "A: found and expected posted: "),
        (_forget_credit_in_card_renewals, _renew_by_card_and_credit, "A: found and expected held: (0, 25000)"),
        (_spend_twice_at_renewal, _renew_from_credit, "A: found and expected posted: "),
    ],
)
def test_the_machine_finds_a_mutant(
    machine: type[MoneyMachine],
    monkeypatch: pytest.MonkeyPatch,
    mutate: Callable[[pytest.MonkeyPatch], None],
    story: Callable[[MoneyMachine], None],
    seen_in: str,
) -> None:
    mutate(monkeypatch)

    with pytest.raises(Differs):
        _tell(machine, story)

    assert seen_in in "; ".join(machine.wrong)


@pytest.mark.parametrize("story", STORIES)
def test_control_without_its_mutant_a_story_is_the_models(
    machine: type[MoneyMachine], story: Callable[[MoneyMachine], None]
) -> None:
    _tell(machine, story)

    assert machine.wrong == []


def _tell(machine: type[MoneyMachine], story: Callable[[MoneyMachine], None]) -> None:
    machine.is_calm = True
    world = machine()
    try:
        story(world)
    finally:
        world.teardown()
