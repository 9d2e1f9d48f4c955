"""A card subscription that is changed: the processor bills the new contents from the next period on, whatever fails."""

import pytest
from structlog.testing import capture_logs

from billing.models import PspCall, Subscription, SubscriptionChange
from billing.services import change_calls
from billing.services.subscription_changes import ChangeSelection, drop_change, find_open_change
from billing.tasks import changes as tasks
from catalyst.core.database import execute
from catalyst.core.failpoints import Crash, armed, crash
from catalyst.core.models import Incident
from tests.billing.changing import HALF, LARGE_MINOR, ask, change, current_row, in_period, pay, session_of, stock
from tests.billing.killed import sweep
from tests.billing.shop import PLAN_MINOR, Shop
from tests.stripe_standin import Fault, StripeStandIn

pytestmark = pytest.mark.django_db(transaction=True)

UP, DOWN = ChangeSelection(plan="l"), ChangeSelection(plan="s")


PRICE = (LARGE_MINOR - PLAN_MINOR) // 2


@pytest.fixture
def standin(shop: Shop) -> StripeStandIn:
    stock(shop)
    assert shop.standin is not None
    return shop.standin


@pytest.fixture
def by_card(shop: Shop, standin: StripeStandIn) -> Subscription:
    """A live subscription that the processor bills."""
    first = shop.buy()
    standin.pay(session_of(first))
    sweep()
    return in_period(Subscription.objects.get(organization_id=shop.organization.pk, collection="card"))


def billed(standin: StripeStandIn, subscription: Subscription) -> list[tuple[str, int]]:
    """Return what the processor would bill for the next period: product and price."""
    items = standin.get("subscription", str(subscription.psp_subscription_id))["items"]["data"]
    return [(row["price"]["product"], row["price"]["unit_amount"]) for row in items]


def due_now() -> None:
    execute("UPDATE billing_pspcall SET next_action_at = now() WHERE resolved_at IS NULL")
    tasks.sweep_change_calls_task()


def test_the_processor_bills_the_new_contents_from_the_next_period_on(
    shop: Shop, standin: StripeStandIn, by_card: Subscription
) -> None:
    pay(standin, ask(shop, by_card, UP))
    due_now()

    assert billed(standin, by_card) == [("plan_l", LARGE_MINOR)]
    (update,) = standin.calls.find("subscriptions.update")
    assert update.parameters["proration_behavior"] == "none"
    assert standin.captured_minor() == PLAN_MINOR + PRICE
    calls = PspCall.objects.filter(op="subscription.update")
    assert [(call.state, call.idempotency_key.split(":")[2]) for call in calls] == [("succeeded", "items")]


def test_a_lost_answer_is_found_out_and_not_repeated(shop: Shop, standin: StripeStandIn, by_card: Subscription) -> None:
    standin.script("subscriptions.update", Fault.DROP_AFTER, times=2)
    pay(standin, ask(shop, by_card, UP))
    due_now()
    assert PspCall.objects.get(op="subscription.update").state == "unknown"

    due_now()

    assert PspCall.objects.get(op="subscription.update").state == "succeeded"
    assert standin.calls.effect_count("subscriptions.update") == 1
    assert billed(standin, by_card) == [("plan_l", LARGE_MINOR)]


@pytest.mark.parametrize("point", ["change.items.before_call", "change.items.after_call_before_record"])
def test_a_crash_beside_the_call_leaves_it_to_the_sweep(
    shop: Shop, standin: StripeStandIn, by_card: Subscription, point: str
) -> None:
    pay(standin, ask(shop, by_card, UP))

    with armed(point, crash), pytest.raises(Crash):
        due_now()
    due_now()

    assert billed(standin, by_card) == [("plan_l", LARGE_MINOR)]
    assert standin.calls.effect_count("subscriptions.update") == 1
    assert PspCall.objects.get(op="subscription.update").state == "succeeded"


def test_control_without_the_look_a_repetition_after_a_day_bills_twice(
    shop: Shop, standin: StripeStandIn, by_card: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    pay(standin, ask(shop, by_card, UP))
    with armed("change.items.after_call_before_record", crash), pytest.raises(Crash):
        due_now()
    standin.clock.advance(25 * 3600)
    monkeypatch.setattr(change_calls, "_present_key", lambda row: ("never", 0))

    due_now()

    assert standin.calls.effect_count("subscriptions.update") == 2


def test_a_refused_update_calls_a_person(shop: Shop, standin: StripeStandIn, by_card: Subscription) -> None:
    standin.script("subscriptions.update", Fault.ERROR_400, times=None)
    pay(standin, ask(shop, by_card, UP))

    due_now()

    assert PspCall.objects.get(op="subscription.update").state == "rejected"
    assert Incident.objects.filter(kind="subscription_items_rejected").count() == 1
    assert current_row(by_card).plan == "l"


def test_a_refused_product_calls_a_person_and_moves_nothing(
    shop: Shop, standin: StripeStandIn, by_card: Subscription
) -> None:
    standin.script("products.create", Fault.ERROR_400, times=None, code="parameter_unknown")
    pay(standin, ask(shop, by_card, UP))

    due_now()

    assert PspCall.objects.get(op="subscription.update").state == "rejected"
    assert standin.calls.find("subscriptions.update") == []
    assert Incident.objects.filter(kind="subscription_items_rejected").count() == 1


def test_a_product_that_exists_is_used_and_alarms_nobody(
    shop: Shop, standin: StripeStandIn, by_card: Subscription
) -> None:
    standin.client().v1.products.create({"id": "plan_l", "name": "An older title"})
    pay(standin, ask(shop, by_card, UP))

    with capture_logs() as logs:
        due_now()

    assert billed(standin, by_card) == [("plan_l", LARGE_MINOR)]
    assert [line["event"] for line in logs if line.get("alarm")] == []


def test_what_is_scheduled_is_told_ahead_and_taken_back(
    shop: Shop, standin: StripeStandIn, by_card: Subscription
) -> None:
    change(shop, by_card, DOWN)
    assert billed(standin, by_card) == [("plan_s", 20_000)]

    drop_change(subscription=current_row(by_card), actor=shop.buyer, now=HALF)

    assert billed(standin, by_card) == [("plan_m", PLAN_MINOR)]
    assert standin.captured_minor() == PLAN_MINOR
    states = PspCall.objects.filter(op="subscription.update").order_by("id").values_list("state", flat=True)
    assert list(states) == ["succeeded", "succeeded"]


def test_taken_back_before_it_was_told_it_is_never_told(
    shop: Shop, standin: StripeStandIn, by_card: Subscription
) -> None:
    with standin.outage():
        change(shop, by_card, DOWN)
        drop_change(subscription=current_row(by_card), actor=shop.buyer, now=HALF)
    due_now()

    assert [amount for _product, amount in billed(standin, by_card)] == [PLAN_MINOR]
    states = PspCall.objects.filter(op="subscription.update").order_by("id").values_list("state", flat=True)
    assert list(states) == ["voided", "succeeded"]


@pytest.mark.parametrize(
    ("point", "scheduled"), [("change.schedule.in_tx", False), ("change.schedule.after_commit", True)]
)
def test_a_crash_while_scheduling_is_all_or_nothing(
    shop: Shop, standin: StripeStandIn, by_card: Subscription, point: str, scheduled: bool
) -> None:
    with armed(point, crash), pytest.raises(Crash):
        change(shop, by_card, DOWN)
    due_now()

    assert (find_open_change(by_card) is not None) is scheduled
    assert (billed(standin, by_card) == [("plan_s", 20_000)]) is scheduled
    assert SubscriptionChange.objects.count() == PspCall.objects.filter(op="subscription.update").count()


def test_a_crash_while_taking_back_is_all_or_nothing(shop: Shop, standin: StripeStandIn, by_card: Subscription) -> None:
    change(shop, by_card, DOWN)

    with armed("change.drop.in_tx", crash), pytest.raises(Crash):
        drop_change(subscription=current_row(by_card), actor=shop.buyer, now=HALF)
    due_now()

    assert find_open_change(by_card) is not None
    assert billed(standin, by_card) == [("plan_s", 20_000)]
