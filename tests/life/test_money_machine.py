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
from billing.selectors.refunds import RefundPlan, plan_refund
from billing.services import card_credit, change_pricing, checkout_settle, refunds, subscription_renewals
from billing.services.ledger import Entry, LockedAccount, lock_account, post_entries
from catalyst.core import doorbell
from catalyst.core.models import Currency
from tests.clock import MovableClock
from tests.conftest import owner_connection
from tests.life.bench import Bench, open_bench
from tests.life.money_machine import MoneyMachine
from tests.stripe_standin import StripeStandIn

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]

_EXAMPLES, _STEPS, _SEED = map(int, os.environ.get("CATALYST_MONEY", "12,40,2026").split(","))
_HUNT_EXAMPLES, _HUNT_STEPS = 30, 40


@pytest.fixture
def machine(
    transactional_db: None, catalyst_home: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> type[MoneyMachine]:
    """Return a machine whose every example starts from an empty database."""
    monkeypatch.setattr(doorbell, "ring", lambda task, **arguments: None)

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


# --- mutants: each breaks one rule of the money, and the machine has to see it ----------------------------------------
def _refund_credit_first(monkeypatch: pytest.MonkeyPatch) -> None:
    def mutant(invoice: Invoice, amount_minor: int) -> RefundPlan:
        credit = min(amount_minor, invoice.credit_minor - invoice.credit_refunded_minor)
        return replace(plan_refund(invoice, amount_minor), credit_minor=credit, card_minor=amount_minor - credit)

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
    ("mutate", "seen_in"),
    [
        (_refund_credit_first, "refunded"),
        (_keep_holds_of_a_lapsed_page, ""),
        (_charge_a_change_for_the_whole_period, ""),
        (_forget_credit_in_card_renewals, "held"),
        (_spend_twice_at_renewal, "posted"),
    ],
)
def test_the_machine_finds_a_mutant(
    machine: type[MoneyMachine],
    monkeypatch: pytest.MonkeyPatch,
    mutate: Callable[[pytest.MonkeyPatch], None],
    seen_in: str,
) -> None:
    mutate(monkeypatch)
    machine.is_calm = True

    with pytest.raises(Exception):  # noqa: B017  (Hypothesis wraps what it cannot replay; what counts is below)
        _run(machine, examples=_HUNT_EXAMPLES, steps=_HUNT_STEPS)

    assert machine.wrong
    assert seen_in in "; ".join(machine.wrong)
