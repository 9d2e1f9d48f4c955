"""The process is killed anywhere in a checkout: whatever comes after, nothing is lost, doubled or stuck."""

import pytest

from catalyst.core.database import execute
from catalyst.core.failpoints import armed
from catalyst.core.models import Outbox
from tests.billing.api.calls import refusal
from tests.billing.killed import RECOVERIES, Purchase, make_purchase, sweep
from tests.billing.shop import PLAN_MINOR, VOUCHER_MINOR, Shop
from tests.crash.client import CrashServer
from tests.stripe_standin import Fault

pytestmark = pytest.mark.django_db(transaction=True)

#: The crash matrix presses again with the same key, and asserts that another round changes nothing.
WAYS_BACK = {name: RECOVERIES[name] for name in ("a new attempt at once", "sweep")}

#: Failpoint, which of its hits, and the checkouts that must exist once the sweeper has been round.
BEFORE_THE_HANDOVER = [
    ("checkout.T1.in_tx", 1, []),
    ("checkout.T1.after_commit", 1, ["compensated"]),
    ("checkout.C.before_call", 1, ["compensated"]),
    ("checkout.C.after_call_before_record", 1, ["compensated"]),
    ("checkout.T2.in_tx", 1, ["compensated"]),
    ("checkout.T2.before_call", 1, ["compensated"]),
    ("checkout.T2.after_call_before_record", 1, ["compensated"]),
    ("checkout.T2.before_call", 2, ["compensated"]),
    ("checkout.T2.after_call_before_record", 2, ["compensated"]),
    ("checkout.T3.in_tx", 1, ["compensated"]),
]


def pay_and_finish(purchase: Purchase) -> None:
    """The code buys: granted once, one card page, which is paid and sold once."""
    standin = purchase.shop.standin
    assert standin is not None
    purchase.buy()
    sweep()
    purchase.check()
    waiting = [checkout for checkout in purchase.checkouts() if checkout.state == "awaiting_payment"]
    assert len(waiting) == 1
    assert purchase.books().entries == [("voucher_grant", VOUCHER_MINOR)]
    standin.pay(str(waiting[0].psp_session_id))
    sweep()
    sweep()
    purchase.check()
    after = purchase.books()
    assert after.entries == [("voucher_grant", VOUCHER_MINOR), ("order_spend", -VOUCHER_MINOR)]
    assert (after.posted, after.held, after.reserved_count, after.redeemed_count) == (0, 0, 0, 1)
    assert after.checkouts.count("completed") == after.orders.count("paid") == 1
    customers = standin.all("customer", email=purchase.shop.buyer.email)
    assert len(customers) == 1
    charges = standin.all("charge", customer=customers[0]["id"])
    assert [charge["amount_captured"] for charge in charges] == [PLAN_MINOR - VOUCHER_MINOR]


@pytest.mark.parametrize(("point", "nth", "left"), BEFORE_THE_HANDOVER)
def test_before_the_hand_over_the_code_works_again(
    shop: Shop, crash_server: CrashServer, point: str, nth: int, left: list[str]
) -> None:
    for number, (name, recover) in enumerate(WAYS_BACK.items()):
        purchase = make_purchase(shop, f"company-{number}")
        assert purchase.doomed(crash_server, point, nth=nth).is_killed, name
        assert purchase.books().entries == [], name

        recover(purchase)
        sweep()

        purchase.check()
        states = purchase.books().checkouts
        assert [state for state in states if state != "awaiting_payment"] == left, name
        pay_and_finish(purchase)


@pytest.mark.parametrize("name", ["retry with the same key", "sweep", "sweep twice"])
def test_after_the_hand_over_the_card_page_stands(shop: Shop, crash_server: CrashServer, name: str) -> None:
    purchase = make_purchase(shop, "company")
    assert purchase.doomed(crash_server, "checkout.T3.after_commit").is_killed
    (checkout,) = purchase.checkouts()

    RECOVERIES[name](purchase)
    sweep()

    purchase.check()
    assert purchase.books().checkouts == ["awaiting_payment"]
    assert purchase.buy(purchase.key).json()["session_url"] == checkout.psp_session_url
    pay_and_finish(purchase)


def test_a_new_attempt_after_the_hand_over_closes_the_first_page(shop: Shop, crash_server: CrashServer) -> None:
    purchase = make_purchase(shop, "company")
    assert purchase.doomed(crash_server, "checkout.T3.after_commit").is_killed

    answer = purchase.buy()

    assert answer.json()["voucher"] == {"status": "already_redeemed"}
    purchase.check()
    assert purchase.books().checkouts == ["lapsed", "awaiting_payment"]
    assert purchase.books().entries == [("voucher_grant", VOUCHER_MINOR)]
    pay_and_finish(purchase)


@pytest.mark.parametrize(("point", "left"), [("checkout.T1T5.in_tx", 0), ("checkout.T1T5.after_commit", 1)])
def test_a_sale_from_credit_happens_whole_or_not_at_all(
    shop: Shop, crash_server: CrashServer, point: str, left: int
) -> None:
    for number, (name, recover) in enumerate(WAYS_BACK.items()):
        purchase = make_purchase(shop, f"company-{number}", 60_000)
        assert purchase.doomed(crash_server, point).is_killed
        assert purchase.books().checkouts == ["completed"] * left, name

        recover(purchase)

        purchase.check()
        again = purchase.buy(purchase.key)
        assert again.status_code in (201, 409)
        purchase.check()
        after = purchase.books()
        assert after.entries == [("voucher_grant", 60_000), ("order_spend", -PLAN_MINOR)], name
        assert (after.posted, after.held, after.redeemed_count) == (10_000, 0, 1)
        assert (after.redemptions, after.orders, after.checkouts) == (["redeemed"], ["paid"], ["completed"])
        sold = Outbox.objects.filter(topic="order.paid", stream=f"organization:{purchase.shop.organization.pk}")
        assert sold.count() == 1


@pytest.mark.parametrize("point", ["checkout.T4.in_tx", "checkout.T4.after_commit"])
def test_a_compensation_that_dies_is_finished_once(shop: Shop, crash_server: CrashServer, point: str) -> None:
    assert shop.standin is not None
    for number, (name, recover) in enumerate(WAYS_BACK.items()):
        purchase = make_purchase(shop, f"company-{number}")
        shop.standin.script("checkout.sessions.create", Fault.ERROR_400)
        assert purchase.doomed(crash_server, point).is_killed

        recover(purchase)
        sweep()

        purchase.check()
        assert purchase.books().checkouts[0] == "compensated", name
        pay_and_finish(purchase)


@pytest.mark.parametrize("point", ["checkout.T4.in_tx", "checkout.T4.after_commit"])
def test_a_sweeper_that_dies_is_followed_by_the_next(shop: Shop, crash_server: CrashServer, point: str) -> None:
    for number, (name, recover) in enumerate(WAYS_BACK.items()):
        purchase = make_purchase(shop, f"company-{number}")
        assert purchase.doomed(crash_server, "checkout.T2.after_call_before_record", nth=2).is_killed
        make_stale(purchase)
        assert crash_server.sweep(kill_at=point).is_killed

        recover(purchase)
        sweep()

        purchase.check()
        assert purchase.books().checkouts[0] == "compensated", name
        pay_and_finish(purchase)


def make_stale(purchase: Purchase) -> None:
    """Let the lease of this purchase end, and of no other."""
    (checkout,) = purchase.checkouts()
    past = checkout.created_at
    type(checkout).objects.filter(pk=checkout.pk).update(lease_until=past, next_action_at=past)


def test_the_last_place_of_a_dead_process_is_free_after_its_compensation(shop: Shop, crash_server: CrashServer) -> None:
    voucher = shop.voucher(max_redemptions=1)
    first, other = (Purchase(place, voucher, place.calls()) for place in map(shop.with_customer, ("first", "other")))
    assert first.doomed(crash_server, "checkout.T2.in_tx").is_killed

    refused = other.buy()
    sweep()
    answer = other.buy()

    assert refusal(refused) == (409, "voucher_busy")
    assert refused["Retry-After"] == "60"
    assert answer.status_code == 201
    assert first.books().redemptions == ["released"]
    assert other.books().redemptions == ["redeemed"]
    assert (other.books().reserved_count, other.books().redeemed_count) == (0, 1)
    other.check()


@pytest.mark.parametrize("change", ["active = false", "revoked_at = now()"])
def test_a_voucher_that_closes_meanwhile_is_honored_once_it_is_reserved(shop: Shop, change: str) -> None:
    purchase = make_purchase(shop, "company")

    def close() -> None:
        execute(f"UPDATE billing_voucher SET {change} WHERE id = %s", [purchase.voucher.pk])

    with armed("checkout.T1.after_commit", close):
        answer = purchase.buy(purchase.key)

    assert answer.status_code == 201
    assert purchase.books().entries == [("voucher_grant", VOUCHER_MINOR)]
    purchase.check()
    assert purchase.shop.standin is not None
    purchase.shop.standin.pay(str(purchase.checkouts()[0].psp_session_id))
    sweep()
    assert purchase.books().checkouts == ["completed"]
