"""A change that costs more happens at once and is paid for the rest of the period; a refusal changes nothing."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from billing.models import Checkout, LedgerEntry, Order, Subscription, SubscriptionChange, SubscriptionEvent
from billing.services.change_pricing import NothingChanges, price_change
from billing.services.change_rows import SubscriptionNotActive
from billing.services.checkout import start_checkout
from billing.services.checkout_types import CheckoutOutcome, QuoteChanged
from billing.services.subscription_changes import ChangeSelection
from billing.services.subscriptions import cancel_subscription
from catalyst.core.errors import DomainError, InvalidTransition
from catalyst.core.models import Outbox
from marketplace.selectors.selection import CapacityExceeded, LineUnavailable
from tests import factories
from tests.billing.changing import (
    BACKUP_MINOR,
    BOOKSTACK_MINOR,
    END,
    HALF,
    LARGE_MINOR,
    change,
    current_row,
    preview,
    stock,
    subscribe,
)
from tests.billing.shop import PLAN_MINOR, Shop, books
from tests.billing.subscribed import let_owe

pytestmark = pytest.mark.django_db(transaction=True)

UP = ChangeSelection(plan="l")


def facts(subscription: Subscription) -> list[Any]:
    row = Subscription.objects.get(pk=subscription.pk)
    changes = list(SubscriptionChange.objects.order_by("created_at").values_list("kind", "state"))
    return [row.plan, row.items, row.version, row.monthly_minor, row.state, changes, Order.objects.count()]


def test_the_rest_of_the_period_is_paid_from_credit_and_the_plan_is_larger_at_once(shop: Shop) -> None:
    stock(shop)
    subscription = subscribe(shop)

    outcome = change(shop, subscription, UP)

    assert isinstance(outcome, CheckoutOutcome)
    assert (outcome.state, outcome.balance_minor) == ("completed", 200_000 - PLAN_MINOR - 15_000)
    row = Subscription.objects.get(pk=subscription.pk)
    assert (row.plan, row.monthly_minor, row.version, row.state) == ("l", LARGE_MINOR, 2, "active")
    assert row.current_period.upper == END
    assert [item["reference"] for item in row.items] == ["l", "bp-wordpress"]
    history = SubscriptionEvent.objects.get(subscription=row)
    assert (history.seq, history.plan, history.monthly_minor, history.reason) == (2, "l", LARGE_MINOR, "change")
    assert Subscription.objects.count() == 1


def test_the_order_names_what_was_bought_and_starts_only_that(shop: Shop) -> None:
    stock(shop)
    subscription = subscribe(shop)

    change(shop, subscription, ChangeSelection(plan="l", add_blueprints=("bp-bookstack",), add_addons=("backup",)))

    order = Order.objects.order_by("-id")[0]
    lines = [(line.kind, line.reference, line.total_minor, line.title) for line in order.lines.order_by("position")]
    difference = LARGE_MINOR - PLAN_MINOR + BOOKSTACK_MINOR + BACKUP_MINOR
    assert order.total_minor == difference // 2 == 18_500
    assert order.monthly_minor == PLAN_MINOR + difference
    assert lines == [
        ("plan", "l", 15_000, "L, for the rest of the period"),
        ("blueprint", "bp-bookstack", 2_000, "BookStack, for the rest of the period"),
        ("addon", "backup", 1_500, "Backup, for the rest of the period"),
    ]
    paid = Outbox.objects.filter(topic="order.paid").order_by("-id")[0].payload
    done = SubscriptionChange.objects.get()
    assert (paid["blueprints"], paid["addons"], paid["plan"]) == (["bp-bookstack"], ["backup"], "l")
    assert (paid["subscription"], paid["change"]) == (subscription.pk, str(done.pk))
    assert (done.state, done.price_minor, done.resolved_at) == ("applied", 18_500, HALF)
    changed = Outbox.objects.get(topic="subscription.changed").payload
    assert (changed["version"], changed["remove"], changed["install"]) == (2, [], [])


def test_a_free_addition_is_sold_at_once_without_money(shop: Shop) -> None:
    stock(shop)
    factories.PriceFactory.create(kind="addon", reference="free", amount_minor=0)
    factories.AddOnFactory.create(slug="free", title_en="Free")
    subscription = subscribe(shop)
    before = books(shop)

    outcome = change(shop, subscription, ChangeSelection(add_addons=("free",)))

    assert isinstance(outcome, CheckoutOutcome)
    assert outcome.state == "completed"
    assert books(shop).entries == before.entries
    assert Order.objects.order_by("-id")[0].total_minor == 0
    assert [item["reference"] for item in current_row(subscription).items] == ["m", "bp-wordpress", "free"]


def test_the_accepted_price_is_the_price(shop: Shop) -> None:
    stock(shop)
    subscription = subscribe(shop)
    accepted = preview(shop, subscription, UP).quote.hash
    before = (facts(subscription), books(shop))

    with pytest.raises(QuoteChanged):
        change(shop, subscription, UP, now=HALF + timedelta(hours=2), accepted_quote=accepted)

    assert (facts(subscription), books(shop)) == before
    outcome = change(shop, subscription, UP, accepted_quote=accepted)
    assert isinstance(outcome, CheckoutOutcome)
    assert outcome.state == "completed"


def test_the_same_command_twice_is_one_change(shop: Shop) -> None:
    stock(shop)
    subscription = subscribe(shop)

    first = change(shop, subscription, UP, key="one-and-the-same")
    again = change(shop, subscription, UP, key="one-and-the-same")

    assert isinstance(first, CheckoutOutcome)
    assert isinstance(again, CheckoutOutcome)
    assert (again.order_number, again.balance_minor, again.repeated) == (first.order_number, first.balance_minor, True)
    assert LedgerEntry.objects.filter(kind="order_spend").count() == 2
    assert current_row(subscription).version == 2


@pytest.mark.parametrize(
    ("selection", "refusal"),
    [
        (ChangeSelection(plan="nowhere"), LineUnavailable),
        (ChangeSelection(add_blueprints=("bp-nowhere",)), LineUnavailable),
        (ChangeSelection(add_addons=("nowhere",)), LineUnavailable),
        (ChangeSelection(remove_addons=("backup",)), LineUnavailable),
        (ChangeSelection(remove_applications=("wordpress",)), LineUnavailable),
        (ChangeSelection(plan="m"), NothingChanges),
        (ChangeSelection(), NothingChanges),
        (ChangeSelection(add_blueprints=("bp-huge",)), CapacityExceeded),
    ],
)
def test_a_refusal_changes_nothing(shop: Shop, selection: ChangeSelection, refusal: type[DomainError]) -> None:
    stock(shop)
    huge()
    subscription = subscribe(shop)
    before = (facts(subscription), books(shop))

    with pytest.raises(refusal):
        change(shop, subscription, selection)

    assert (facts(subscription), books(shop)) == before


def huge() -> None:
    """An Application that no Plan of this shop holds but the largest."""
    factories.PriceFactory.create(kind="blueprint", reference="bp-huge", amount_minor=0)
    factories.BlueprintVersionFactory.create(
        blueprint=factories.BlueprintFactory.create(slug="huge", title="Huge"),
        version="1.0.0",
        major=1,
        minor=0,
        patch=0,
        contract={"spec": {"footprint": {"memoryMiB": 9000, "cpuMilli": 250, "diskGiB": 5}, "depends": []}},
        files={},
    )


def test_what_does_not_fit_is_told_before_it_is_refused(shop: Shop) -> None:
    stock(shop)
    huge()
    subscription = subscribe(shop)

    looked = preview(shop, subscription, ChangeSelection(add_blueprints=("bp-huge",)))

    assert looked.refusal.code == "capacity_exceeded"
    assert looked.refusal.extra["smallest_plan"] == "l"
    fits = preview(shop, subscription, ChangeSelection(plan="l", add_blueprints=("bp-huge",)))
    assert fits.refusal is None


@pytest.mark.parametrize("state", ["past_due", "ending", "being_billed"])
def test_only_an_active_subscription_that_goes_on_is_changed(shop: Shop, state: str) -> None:
    stock(shop)
    subscription = subscribe(shop)
    now = END if state == "being_billed" else HALF
    if state == "past_due":
        let_owe(subscription, since=HALF)
    if state == "ending":
        cancel_subscription(
            subscription_id=subscription.pk, at_once=False, actor=shop.buyer, reason="customer", now=HALF
        )
    before = (facts(subscription), books(shop))

    for selection in (UP, ChangeSelection(plan="s")):
        with pytest.raises(SubscriptionNotActive):
            change(shop, subscription, selection, now=now)
        assert preview(shop, subscription, selection, now=now).refusal.code == "subscription_not_active"

    assert (facts(subscription), books(shop)) == before


def test_a_voucher_pays_for_a_change_as_for_an_order(shop: Shop) -> None:
    stock(shop)
    subscription = subscribe(shop, credit=PLAN_MINOR)
    voucher = shop.voucher(20_000)

    outcome = change(shop, subscription, UP, voucher_code=shop.code(voucher))

    assert isinstance(outcome, CheckoutOutcome)
    assert (outcome.state, outcome.balance_minor) == ("completed", 5_000)
    voucher.refresh_from_db()
    assert voucher.redeemed_count == 1
    checkout = Checkout.objects.get(pk=outcome.checkout_id)
    assert checkout.change is not None
    assert checkout.change.state == "applied"


def test_a_private_blueprint_of_another_organization_cannot_be_added(shop: Shop) -> None:
    stock(shop)
    subscription = subscribe(shop)
    stranger, _user = shop.customer("globex")
    factories.PriceFactory.create(kind="blueprint", reference="bp-secret", amount_minor=0)
    factories.BlueprintVersionFactory.create(
        blueprint=factories.BlueprintFactory.create(
            slug="secret", source="org", visibility="private", organization=stranger
        ),
        version="1.0.0",
        major=1,
        minor=0,
        patch=0,
        files={},
    )

    before = (facts(subscription), books(shop))

    with pytest.raises(LineUnavailable):
        change(shop, subscription, ChangeSelection(add_blueprints=("bp-secret",)))

    assert (facts(subscription), books(shop)) == before


def test_a_change_priced_before_another_one_is_not_sold(shop: Shop) -> None:
    stock(shop)
    subscription = subscribe(shop)
    stale = current_row(subscription)
    change(shop, subscription, ChangeSelection(add_addons=("backup",)))
    before = (facts(subscription), books(shop))
    command = shop.request(selection=None, key="stale-command", fingerprint=b"\0" * 32)

    proposal = price_change(subscription=stale, selection=UP, organization=shop.organization, now=HALF)
    with pytest.raises(InvalidTransition):
        start_checkout(request=replace(command, change=proposal, selection=shop.request().selection), now=HALF)

    assert (facts(subscription), books(shop)) == before
