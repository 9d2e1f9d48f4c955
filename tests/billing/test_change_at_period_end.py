"""What removes something or costs less waits for the end of the paid period, is shown, and can be taken back."""

from typing import Any

import pytest

from billing.models import LedgerEntry, Order, Subscription, SubscriptionChange
from billing.services import subscription_changes, subscription_renewals
from billing.services.change_apply import apply_due_change
from billing.services.change_rows import SubscriptionNotActive
from billing.services.checkout_types import QuoteChanged
from billing.services.ledger import lock_account
from billing.services.subscription_changes import (
    ChangeSelection,
    drop_change,
    find_open_change,
    preview_change,
)
from billing.services.subscriptions import cancel_subscription, lock_with_account
from catalyst.core.database import use_case
from catalyst.core.errors import NotFound
from catalyst.core.models import Outbox
from marketplace.selectors.selection import CapacityExceeded
from tenancy.models import AuditEntry
from tests import factories
from tests.billing.changing import (
    BACKUP_MINOR,
    BOOKSTACK_MINOR,
    END,
    HALF,
    SMALL_MINOR,
    change,
    current_row,
    install,
    stock,
    subscribe,
)
from tests.billing.shop import PLAN_MINOR, Shop, books

pytestmark = pytest.mark.django_db(transaction=True)

DOWN = ChangeSelection(plan="s")


@use_case
def boundary(subscription: Subscription) -> bool:
    """Reach the end of the period, as the renewal does before it bills."""
    _account, row = lock_with_account(subscription.pk)
    return apply_due_change(row, now=END)


def test_a_smaller_plan_waits_for_the_end_of_the_period(shop: Shop) -> None:
    stock(shop)
    subscription = subscribe(shop)
    before = books(shop)

    waiting = change(shop, subscription, DOWN)

    assert isinstance(waiting, SubscriptionChange)
    assert (waiting.kind, waiting.state, waiting.price_minor) == ("period_end", "scheduled", 0)
    assert (waiting.effective_at, waiting.monthly_minor, waiting.plan) == (END, SMALL_MINOR, "s")
    row = current_row(subscription)
    assert (row.plan, row.version, row.monthly_minor) == ("m", 1, PLAN_MINOR)
    assert books(shop) == before
    assert Order.objects.count() == 1
    told = Outbox.objects.get(topic="subscription.change_scheduled").payload
    assert (told["change"], told["monthly"]) == (str(waiting.pk), SMALL_MINOR)
    assert AuditEntry.objects.filter(action="subscription.change_scheduled").count() == 1


def test_it_happens_at_the_boundary_and_the_next_period_costs_less(shop: Shop) -> None:
    stock(shop)
    subscription = subscribe(shop)
    change(shop, subscription, DOWN)

    @use_case
    def renew() -> None:
        _account, row = lock_with_account(subscription.pk)
        subscription_renewals.bill_from_credit(lock_account(row.organization_id), row, now=END)

    renew()

    row = current_row(subscription)
    assert (row.plan, row.monthly_minor, row.version, row.state) == ("s", SMALL_MINOR, 2, "active")
    assert row.current_period.lower == END
    assert LedgerEntry.objects.get(kind="invoice_spend").amount_minor == -SMALL_MINOR
    assert SubscriptionChange.objects.get().state == "applied"
    changed = Outbox.objects.get(topic="subscription.changed").payload
    assert (changed["plan"], changed["monthly"], changed["remove"]) == ("s", SMALL_MINOR, [])


def test_removing_names_what_delivery_takes_away(shop: Shop) -> None:
    stock(shop)
    subscription = subscribe(shop)
    change(shop, subscription, ChangeSelection(add_blueprints=("bp-bookstack",), add_addons=("backup",)))
    install(shop, "wordpress", "bookstack")

    waiting = change(shop, subscription, ChangeSelection(remove_applications=("bookstack",), remove_addons=("backup",)))

    assert isinstance(waiting, SubscriptionChange)
    assert (waiting.kind, waiting.remove, waiting.monthly_minor) == ("period_end", ["bookstack"], PLAN_MINOR)
    assert boundary(subscription)
    assert [item["reference"] for item in current_row(subscription).items] == ["m", "bp-wordpress"]
    changed = Outbox.objects.filter(topic="subscription.changed").order_by("-id")[0].payload
    assert (changed["remove"], changed["install"], changed["version"]) == (["bookstack"], [], 3)


def test_two_copies_bought_at_two_prices_are_removed(shop: Shop) -> None:
    stock(shop)
    subscription = subscribe(shop)
    add = ChangeSelection(add_blueprints=("bp-bookstack",))
    change(shop, subscription, add)
    factories.PriceFactory.create(kind="blueprint", reference="bp-bookstack", amount_minor=BOOKSTACK_MINOR + 1_000)
    change(shop, subscription, add)
    install(shop, "wordpress", "bookstack", "bookstack-2")
    assert current_row(subscription).monthly_minor == PLAN_MINOR + 2 * BOOKSTACK_MINOR + 1_000

    both = change(shop, subscription, ChangeSelection(remove_applications=("bookstack", "bookstack-2")))

    assert isinstance(both, SubscriptionChange)
    assert (both.monthly_minor, both.remove) == (PLAN_MINOR, ["bookstack", "bookstack-2"])
    assert [(item["reference"], item["quantity"]) for item in both.items] == [("m", 1), ("bp-wordpress", 1)]


def test_taking_back_leaves_a_wish_that_came_meanwhile(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    stock(shop)
    subscription = subscribe(shop)
    first = change(shop, subscription, DOWN)
    newer: list[Any] = []

    def wish_again(*_args: Any, **_keywords: Any) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(subscription_changes, "_close_open_checkout", lambda *_args, **_keywords: None)
            install(shop, "wordpress")
            newer.append(change(shop, subscription, ChangeSelection(remove_applications=("wordpress",))))

    monkeypatch.setattr(subscription_changes, "_close_open_checkout", wish_again)

    dropped = drop_change(subscription=current_row(subscription), actor=shop.buyer, now=HALF)

    assert (dropped, dropped.state) == (first, "dropped")
    assert find_open_change(subscription) == newer[0]
    assert Outbox.objects.filter(topic="subscription.change_dropped").count() == 0


def test_what_comes_and_goes_in_one_wish_all_waits(shop: Shop) -> None:
    stock(shop)
    subscription = subscribe(shop)
    install(shop, "wordpress")

    waiting = change(
        shop,
        subscription,
        ChangeSelection(plan="l", remove_applications=("wordpress",), add_blueprints=("bp-bookstack",)),
    )

    assert isinstance(waiting, SubscriptionChange)
    assert waiting.kind == "period_end"
    assert Order.objects.count() == 1
    boundary(subscription)
    changed = Outbox.objects.get(topic="subscription.changed").payload
    assert (changed["remove"], changed["install"]) == (["wordpress"], ["bp-bookstack"])


def test_a_downgrade_must_fit_or_make_itself_fit(shop: Shop) -> None:
    stock(shop)
    subscription = subscribe(shop)
    change(shop, subscription, ChangeSelection(add_blueprints=("bp-bookstack",)))
    install(shop, "wordpress", "bookstack")
    before = (books(shop), current_row(subscription).items)

    with pytest.raises(CapacityExceeded) as refusal:
        change(shop, subscription, DOWN)

    assert refusal.value.extra["used"] == {"memory_mib": 1268, "cpu_milli": 750, "disk_gib": 13}
    assert refusal.value.extra["capacity"]["memory_mib"] == 1024
    assert refusal.value.extra["smallest_plan"] == "m"
    assert (books(shop), current_row(subscription).items) == before
    assert find_open_change(subscription) is None
    waiting = change(shop, subscription, ChangeSelection(plan="s", remove_applications=("bookstack",)))
    assert isinstance(waiting, SubscriptionChange)
    assert waiting.monthly_minor == SMALL_MINOR


def test_the_last_wish_wins(shop: Shop) -> None:
    stock(shop)
    subscription = subscribe(shop)
    first = change(shop, subscription, DOWN)

    change(shop, subscription, ChangeSelection(add_addons=("backup",)))

    assert isinstance(first, SubscriptionChange)
    first.refresh_from_db()
    assert first.state == "dropped"
    assert not boundary(subscription)
    assert current_row(subscription).monthly_minor == PLAN_MINOR + BACKUP_MINOR


def test_the_same_command_twice_is_one_wish(shop: Shop) -> None:
    stock(shop)
    subscription = subscribe(shop)

    first, again = (change(shop, subscription, DOWN, key="one-and-the-same") for _ in range(2))

    assert first == again
    assert SubscriptionChange.objects.count() == 1
    assert Outbox.objects.filter(topic="subscription.change_scheduled").count() == 1


def test_taken_back_nothing_happens(shop: Shop) -> None:
    stock(shop)
    subscription = subscribe(shop)
    change(shop, subscription, DOWN)

    dropped = drop_change(subscription=current_row(subscription), actor=shop.buyer, now=HALF)

    assert dropped.state == "dropped"
    assert not boundary(subscription)
    assert current_row(subscription).plan == "m"
    assert Outbox.objects.filter(topic="subscription.change_dropped").count() == 1


def test_there_must_be_something_to_take_back(shop: Shop) -> None:
    subscription = subscribe(shop)

    with pytest.raises(NotFound):
        drop_change(subscription=current_row(subscription), actor=shop.buyer, now=HALF)


def test_an_end_drops_the_wish_and_refuses_new_ones(shop: Shop) -> None:
    stock(shop)
    subscription = subscribe(shop)
    waiting = change(shop, subscription, DOWN)

    cancel_subscription(subscription_id=subscription.pk, at_once=True, actor=shop.staff, reason="test", now=HALF)

    assert isinstance(waiting, SubscriptionChange)
    waiting.refresh_from_db()
    assert waiting.state == "dropped"
    with pytest.raises(SubscriptionNotActive):
        change(shop, subscription, DOWN)


def test_the_accepted_price_of_the_next_month_is_the_price(shop: Shop) -> None:
    stock(shop)
    subscription = subscribe(shop)
    accepted = _quote(shop, subscription)
    factories.PriceFactory.create(kind="plan", reference="s", amount_minor=25_000, valid_from=HALF)

    with pytest.raises(QuoteChanged):
        change(shop, subscription, DOWN, accepted_quote=accepted)

    assert find_open_change(subscription) is None


def _quote(shop: Shop, subscription: Subscription) -> Any:
    looked = preview_change(
        subscription=current_row(subscription),
        selection=DOWN,
        organization=shop.organization,
        sovereign=shop.sovereign,
        guesser=None,  # type: ignore[arg-type]  # nobody is asked without a code
        now=HALF.replace(day=15),
    )
    return looked.quote.hash
