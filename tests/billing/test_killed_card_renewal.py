"""Deaths and lost answers in a renewal by card that the flows of the crash matrix do not come by."""

import uuid
from typing import Any

import pytest

from billing.models import PspCall
from billing.services import card_credit
from billing.services.psp import Processor
from billing.services.stripe_events import store_event
from catalyst.core.failpoints import Crash, armed, crash
from tests.billing.card_life import CardCustomer, card_customer, deliver, incidents
from tests.billing.killed import make_due
from tests.billing.shop import PLAN_MINOR, Shop
from tests.crash.client import CrashServer
from tests.stripe_standin import Fault

pytestmark = pytest.mark.django_db(transaction=True)

CREDIT = 20_000
FIRST = 40_000


@pytest.fixture
def customer(shop: Shop) -> CardCustomer:
    """A customer with credit for a part of the next month, whose processor has just made the draft."""
    customer = card_customer(shop)
    customer.add_credit(CREDIT)
    customer.tell()
    customer.renew()
    return customer


def draft_of(customer: CardCustomer) -> str:
    return str(customer.standin.get("subscription", customer.theirs)["latest_invoice"])


def die(customer: CardCustomer, server: CrashServer, point: str) -> None:
    """Let a worker hear everything, and die at a point."""
    for event in customer.standin.events():
        store_event(event=event)
    make_due()
    assert server.sweep(kill_at=point).is_killed


def assert_renewed_once(customer: CardCustomer) -> None:
    assert (customer.invoice().state, customer.invoice().credit_minor) == ("paid", CREDIT)
    assert (customer.holds(), customer.spends()) == ([("captured", CREDIT)], [-CREDIT])
    assert (customer.account.posted_minor, customer.account.held_minor) == (0, 0)
    assert customer.standin.calls.effect_count("invoiceitems.create") == 1
    assert customer.standin.captured_minor() == FIRST + PLAN_MINOR - CREDIT
    assert customer.topics().count("subscription.renewed") == 1
    assert customer.subscription.current_period == customer.invoice().period
    assert incidents() == []


def test_a_line_that_came_too_late_is_withdrawn_once(customer: CardCustomer, crash_server: CrashServer) -> None:
    customer.standin.script("invoiceitems.create", Fault.DROP_BEFORE, times=None)
    deliver(customer.standin.events(), now=customer.now())
    assert PspCall.objects.get(op="invoice_item.create").state == "unknown"
    customer.standin.clear_faults()
    customer.standin.finalize(draft_of(customer))
    die(customer, crash_server, "renewal.card.withdraw.in_tx")
    assert customer.holds() == [("active", CREDIT)]

    customer.standin.collect(draft_of(customer))
    customer.tell()

    assert (customer.invoice().state, customer.invoice().credit_minor) == ("paid", 0)
    assert (customer.holds(), customer.spends()) == ([("voided", CREDIT)], [])
    assert (customer.account.posted_minor, customer.account.held_minor) == (CREDIT, 0)
    assert customer.standin.captured_minor() == FIRST + PLAN_MINOR
    assert PspCall.objects.get(op="invoice_item.create").state == "absent"
    assert incidents() == []


@pytest.mark.parametrize("fault", [Fault.DROP_AFTER, Fault.STORED_500_WITH_EFFECT])
def test_a_line_whose_answer_was_lost_is_found(customer: CardCustomer, fault: Fault) -> None:
    customer.standin.script("invoiceitems.create", fault, times=1)
    customer.standin.script("invoiceitems.create", Fault.ERROR_500, times=None)
    deliver(customer.standin.events(), now=customer.now())
    customer.standin.clear_faults()

    customer.tell()
    customer.standin.collect(draft_of(customer))
    customer.tell()

    assert_renewed_once(customer)


def test_the_control_without_a_fixed_key_gives_the_credit_twice(
    customer: CardCustomer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repetition with a new key and without a look first: what the crash matrix and the test above would catch."""
    create = Processor.create

    def with_a_new_key(self: Processor, op: str, params: dict[str, Any], *, key: str, **more: Any) -> dict[str, Any]:
        return create(self, op, params, key=uuid.uuid4().hex if op == "invoice_item.create" else key, **more)

    monkeypatch.setattr(Processor, "create", with_a_new_key)
    monkeypatch.setattr(card_credit, "_has_line", lambda _bill: False)
    with armed("renewal.card.item.after_call_before_record", crash), pytest.raises(Crash):
        deliver(customer.standin.events(), now=customer.now())

    customer.tell()

    assert customer.standin.calls.effect_count("invoiceitems.create") == 2
    assert customer.standin.get("invoice", draft_of(customer))["total"] == PLAN_MINOR - 2 * CREDIT


@pytest.mark.parametrize("point", ["card.page.before_call", "card.page.after_call_before_record"])
def test_a_page_that_was_never_shown_is_made_again(shop: Shop, crash_server: CrashServer, point: str) -> None:
    customer = card_customer(shop)
    path = f"/api/v1/organizations/{customer.shop.organization.slug}/billing-portal/"
    assert crash_server.post(path, {}, kill_at=point, Authorization=customer.shop.authorization()).is_killed

    answer = customer.purchase.calls.post("billing-portal/", {})

    assert answer.status_code == 200
    assert PspCall.objects.filter(op="portal.create").count() == 1
    assert PspCall.objects.get(op="portal.create").state == "succeeded"
