"""A change whose price the card pays: its own page, and its own ways to fail."""

from datetime import timedelta

import pytest
from django.utils import timezone

from billing.models import Checkout, Order, Subscription, SubscriptionChange
from billing.services import checkout_settle
from billing.services.checkout_sweep import sweep_checkouts
from billing.services.psp import ProcessorUnavailable
from billing.services.subscription_changes import ChangeSelection, drop_change, find_open_change
from billing.services.subscriptions import cancel_subscription
from catalyst.core.failpoints import Crash, armed, crash
from catalyst.core.models import Outbox
from tests.billing.changing import (
    END,
    HALF,
    LARGE_MINOR,
    ask,
    change,
    current_row,
    in_period,
    pay,
    session_of,
    stock,
    subscribe,
)
from tests.billing.killed import make_due, sweep
from tests.billing.shop import PLAN_MINOR, Shop, books
from tests.stripe_standin import StripeStandIn

pytestmark = pytest.mark.django_db(transaction=True)

UP, DOWN = ChangeSelection(plan="l"), ChangeSelection(plan="s")
PRICE = (LARGE_MINOR - PLAN_MINOR) // 2


@pytest.fixture
def standin(shop: Shop) -> StripeStandIn:
    stock(shop)
    assert shop.standin is not None
    return shop.standin


def test_the_page_takes_one_payment_and_starts_no_subscription(shop: Shop, standin: StripeStandIn) -> None:
    subscription = subscribe(shop, credit=PLAN_MINOR)

    outcome = ask(shop, subscription, UP)

    session = standin.get("checkout.session", session_of(outcome))
    assert (outcome.state, session["mode"], session["amount_total"]) == ("awaiting_payment", "payment", PRICE)
    assert current_row(subscription).plan == "m"
    waiting = find_open_change(subscription)
    assert waiting is not None
    assert (waiting.kind, waiting.state, waiting.price_minor) == ("now", "pending", PRICE)


def test_paid_it_happens_and_a_subscription_from_credit_stays_one(shop: Shop, standin: StripeStandIn) -> None:
    subscription = subscribe(shop, credit=PLAN_MINOR)

    pay(standin, ask(shop, subscription, UP))

    row = current_row(subscription)
    assert (row.plan, row.collection, row.psp_subscription_id, row.version) == ("l", "credit", None, 2)
    assert standin.all("subscription") == []
    assert standin.captured_minor() == PRICE
    assert SubscriptionChange.objects.get().state == "applied"
    assert Outbox.objects.filter(topic="order.paid").count() == 2


def test_credit_pays_its_part_first(shop: Shop, standin: StripeStandIn) -> None:
    subscription = subscribe(shop, credit=PLAN_MINOR + 5_000)

    pay(standin, ask(shop, subscription, UP))

    assert standin.captured_minor() == PRICE - 5_000
    assert books(shop).posted == 0
    assert books(shop).entries[-1] == ("order_spend", -5_000)


def test_an_abandoned_page_leaves_everything_as_it_was(shop: Shop, standin: StripeStandIn) -> None:
    subscription = subscribe(shop, credit=PLAN_MINOR + 5_000)
    before = (current_row(subscription).items, books(shop).posted, books(shop).held)

    standin.expire(session_of(ask(shop, subscription, UP)))
    sweep()

    assert (current_row(subscription).items, books(shop).posted, books(shop).held) == before
    assert SubscriptionChange.objects.get().state == "dropped"
    assert Checkout.objects.latest("created_at").state == "lapsed"


def test_a_silent_processor_gives_everything_back_at_once(shop: Shop, standin: StripeStandIn) -> None:
    subscription = subscribe(shop, credit=PLAN_MINOR + 5_000)
    before = books(shop)

    with standin.outage(), pytest.raises(ProcessorUnavailable):
        change(shop, subscription, UP)

    assert SubscriptionChange.objects.get().state == "dropped"
    assert (books(shop).posted, books(shop).held, books(shop).entries) == (before.posted, 0, before.entries)
    assert ask(shop, subscription, UP).state == "awaiting_payment"


def test_the_last_wish_closes_the_page_of_the_one_before(shop: Shop, standin: StripeStandIn) -> None:
    subscription = subscribe(shop, credit=PLAN_MINOR)
    first = ask(shop, subscription, UP)

    second = ask(shop, subscription, ChangeSelection(plan="l", add_addons=("backup",)))

    assert standin.get("checkout.session", session_of(first))["status"] == "expired"
    assert [row["id"] for row in standin.sessions(status="open")] == [session_of(second)]
    states = SubscriptionChange.objects.order_by("created_at").values_list("state", flat=True)
    assert list(states) == ["dropped", "pending"]


def test_taking_it_back_closes_its_page(shop: Shop, standin: StripeStandIn) -> None:
    subscription = subscribe(shop, credit=PLAN_MINOR)
    ask(shop, subscription, UP)

    dropped = drop_change(subscription=current_row(subscription), actor=shop.buyer, now=HALF)

    assert dropped.state == "dropped"
    assert standin.sessions(status="open") == []


def returned(shop: Shop, standin: StripeStandIn, subscription: Subscription, *, charged: int = PRICE) -> None:
    assert (standin.captured_minor(), standin.refunded_minor()) == (charged, PRICE)
    assert standin.calls.effect_count("refunds.create") == 1
    assert Checkout.objects.latest("created_at").state == "refunded"
    assert Order.objects.latest("id").state == "cancelled"
    assert SubscriptionChange.objects.get().state == "dropped"
    assert Subscription.objects.get(pk=subscription.pk).plan == "m"
    assert books(shop).held == 0
    assert Outbox.objects.filter(topic="order.paid").count() == 1


def test_paid_after_its_period_it_is_returned_once(shop: Shop, standin: StripeStandIn) -> None:
    subscription = subscribe(shop, credit=PLAN_MINOR)
    outcome = ask(shop, subscription, UP)
    in_period(subscription, END, END + timedelta(days=30))

    pay(standin, outcome)
    sweep()

    returned(shop, standin, subscription)


def test_paid_after_its_period_and_before_the_next_is_billed_it_is_returned_once(
    shop: Shop, standin: StripeStandIn
) -> None:
    subscription = subscribe(shop, credit=PLAN_MINOR)
    outcome = ask(shop, subscription, UP)
    standin.pay(session_of(outcome))

    make_due()
    sweep_checkouts(owner="test", now=END)
    sweep()

    returned(shop, standin, subscription)


def test_paid_in_the_last_second_of_its_period_it_happens(shop: Shop, standin: StripeStandIn) -> None:
    subscription = subscribe(shop, credit=PLAN_MINOR)
    outcome = ask(shop, subscription, UP)
    standin.pay(session_of(outcome))

    make_due()
    sweep_checkouts(owner="test", now=END - timedelta(seconds=1))

    assert (current_row(subscription).plan, SubscriptionChange.objects.get().state) == ("l", "applied")


def test_control_without_the_check_a_new_period_is_had_for_the_old_ones_price(
    shop: Shop, standin: StripeStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscription = subscribe(shop, credit=PLAN_MINOR)
    outcome = ask(shop, subscription, UP)
    in_period(subscription, END, END + timedelta(days=30))
    monkeypatch.setattr(checkout_settle, "fits_still", lambda change_id, now: True)

    pay(standin, outcome)

    assert (standin.captured_minor(), standin.refunded_minor()) == (PRICE, 0)
    assert (current_row(subscription).plan, SubscriptionChange.objects.get().state) == ("l", "applied")
    assert Order.objects.latest("id").state == "paid"


def test_paid_after_the_subscription_ended_it_is_returned_once(shop: Shop, standin: StripeStandIn) -> None:
    subscription = subscribe(shop, credit=PLAN_MINOR)
    outcome = ask(shop, subscription, UP)
    cancel_subscription(subscription_id=subscription.pk, at_once=True, actor=shop.staff, reason="test", now=HALF)

    pay(standin, outcome)
    sweep()

    returned(shop, standin, subscription)


def test_money_for_a_lapsed_change_is_returned_once(shop: Shop, standin: StripeStandIn) -> None:
    subscription = subscribe(shop, credit=PLAN_MINOR)
    outcome = ask(shop, subscription, UP)
    checkout_settle.lapse(
        checkout_id=outcome.checkout_id, reason="session_expired", actor="sweeper", now=timezone.now()
    )

    standin.pay(session_of(outcome))
    for event in standin.events("checkout.session.completed"):
        body, headers = standin.signed(event)
        shop.calls().http.post("/webhooks/stripe/", body, headers=headers, content_type="application/json")
    sweep()

    returned(shop, standin, subscription)


def test_the_sale_and_the_change_are_one_commit(shop: Shop, standin: StripeStandIn) -> None:
    subscription = subscribe(shop, credit=PLAN_MINOR)
    outcome = ask(shop, subscription, UP)
    standin.pay(session_of(outcome))

    with armed("checkout.T5.in_tx", crash), pytest.raises(Crash):
        sweep()
    assert (current_row(subscription).plan, find_open_change(subscription) is not None) == ("m", True)
    sweep()

    assert current_row(subscription).plan == "l"
