"""Many workers hear of the same invoice, and others want the same credit: it is set aside once and spent once."""

import time
from functools import partial

import pytest

from billing.models import Account
from billing.services import card_renewals
from billing.services.card_bills import read_bill
from billing.services.psp import ProcessorUnavailable, get_processor
from tests.billing.card_life import CardCustomer, card_customer, incidents
from tests.billing.shop import PLAN_MINOR, Shop
from tests.clock import MovableClock
from tests.crash.races import race

pytestmark = pytest.mark.django_db(transaction=True)

CREDIT = 20_000
WORKERS = 4


@pytest.fixture
def customer(shop: Shop) -> CardCustomer:
    customer = card_customer(shop)
    customer.add_credit(CREDIT)
    return customer


def follow(customer: CardCustomer, psp_invoice: str) -> str:
    matched = card_renewals.follow_invoice(get_processor(), psp_invoice, actor="test", now=customer.now())
    return str(matched)


def test_one_invoice_followed_by_many_workers(customer: CardCustomer) -> None:
    draft = str(customer.renew()["id"])
    outcomes = race([partial(follow, customer, draft)] * WORKERS)
    customer.tell()

    # Who finds the key of the one credit line in use looks again later.
    assert set(outcomes) <= {"True", ProcessorUnavailable.code}
    assert outcomes["True"] >= 1
    assert customer.holds() == [("active", CREDIT)]
    assert customer.standin.calls.effect_count("invoiceitems.create") == 1

    customer.standin.collect(draft)
    outcomes = race([partial(follow, customer, draft)] * WORKERS)
    customer.tell()

    assert outcomes == {"True": WORKERS}
    assert (customer.holds(), customer.spends()) == ([("captured", CREDIT)], [-CREDIT])
    assert customer.topics() == ["subscription.renewed"]
    assert incidents() == []


@pytest.mark.parametrize("after", [0.0, 0.1, 1.0])
def test_a_purchase_and_a_renewal_want_the_same_credit(
    customer: CardCustomer, clock: MovableClock, after: float
) -> None:
    """The other Environment's purchase takes what is there, or the renewal that began ``after`` seconds earlier."""

    def buy() -> str:
        time.sleep(after)
        return customer.shop.buy(env_type="stg").state

    customer.add_credit(PLAN_MINOR - CREDIT)
    # Postgres and Python go along with the processor's clock: the card page of a month ago would be closed.
    clock.advance_to(customer.subscription.current_period.upper)
    draft = str(customer.renew()["id"])

    outcomes = race([partial(follow, customer, draft), buy])
    customer.tell()

    bought = outcomes["completed"]
    assert outcomes == ({"True": 1, "completed": 1} if bought else {"True": 1, "awaiting_payment": 1})
    taken = sum(amount for _state, amount in customer.holds())
    assert taken == (0 if bought else PLAN_MINOR)
    account = Account.objects.get(pk=customer.organization_id)
    assert (account.posted_minor, account.held_minor) == (0 if bought else PLAN_MINOR, taken)
    customer.standin.collect(draft) if taken < PLAN_MINOR else customer.standin.finalize(draft)
    customer.tell()
    assert customer.invoice().state == "paid"
    assert incidents() == []


def test_a_stale_look_changes_nothing(customer: CardCustomer) -> None:
    """A worker that fell asleep with an old answer in its hands writes nothing when it wakes up."""
    draft = str(customer.renew()["id"])
    seen_as_draft = read_bill(get_processor().retrieve_invoice(draft))
    customer.tell()
    customer.standin.collect(draft, succeeds=False)
    seen_as_failed = read_bill(get_processor().retrieve_invoice(draft))
    customer.standin.collect(draft)
    customer.tell()
    before = (customer.holds(), customer.spends(), customer.topics(), customer.subscription.version)

    for stale in (seen_as_draft, seen_as_failed):
        card_renewals._follow_bill(get_processor(), customer.subscription, stale, actor="test", now=customer.now())

    assert (customer.holds(), customer.spends(), customer.topics(), customer.subscription.version) == before


def test_a_frozen_account_gives_no_credit(customer: CardCustomer) -> None:
    Account.objects.filter(pk=customer.organization_id).update(frozen_at=customer.now())
    customer.renew()

    customer.tell()

    assert (customer.invoice().credit_minor, customer.holds()) == (0, [])


def test_the_control_without_the_look_under_the_lock_does_it_twice(
    customer: CardCustomer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the comparison under the lock the second worker runs into the database's own guard."""
    draft = str(customer.renew()["id"])
    monkeypatch.setattr(card_renewals, "lock_invoice_of", lambda _bill: None)

    outcomes = race([partial(follow, customer, draft)] * 2)

    (failed,) = [outcome for outcome in outcomes if "billing_invoice_psp_invoice_id_key" in outcome]
    assert outcomes == {"True": 1, failed: 1}
