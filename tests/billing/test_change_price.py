"""What a change costs: the difference for the rest of the period, at the price of each thing's own sale."""

from datetime import timedelta

import pytest

from billing.models import SubscriptionChange
from billing.services.subscription_changes import ChangeSelection
from catalyst.core.models import Outbox
from tests import factories
from tests.billing.changing import (
    BACKUP_MINOR,
    BOOKSTACK_MINOR,
    END,
    HALF,
    LARGE_MINOR,
    START,
    change,
    current_row,
    preview,
    stock,
    subscribe,
)
from tests.billing.shop import PLAN_MINOR, Shop, books

pytestmark = pytest.mark.django_db(transaction=True)

UP = ChangeSelection(plan="l")


def included(slug: str, plan: str) -> None:
    """Let a Plan, and those after it, include an Add-on that costs something before."""
    factories.AddOnFactory.create(slug=slug, title_en=slug.title(), included_from=plan)
    factories.PriceFactory.create(kind="addon", reference=slug, amount_minor=6_000)


@pytest.mark.parametrize(
    ("left", "price"),
    [
        (timedelta(days=30), 30_000),
        (timedelta(days=15), 15_000),
        # 29 days and a half hour: whole hours count
        (timedelta(days=29, minutes=30), 29_000),
        (timedelta(days=10, hours=1), 10_040),
        # below what the processor bills at least
        (timedelta(hours=2), 0),
        (timedelta(minutes=59), 0),
        (timedelta(0), 0),
        (timedelta(hours=-5), 0),
    ],
)
def test_the_price_is_the_difference_for_the_whole_hours_left(shop: Shop, left: timedelta, price: int) -> None:
    stock(shop)
    subscription = subscribe(shop)

    looked = preview(shop, subscription, UP, now=END - left)

    assert looked.quote.total_minor == price
    assert looked.proposal.kind == "now"


def test_what_was_bought_keeps_its_price_and_what_is_new_has_todays(shop: Shop) -> None:
    stock(shop)
    subscription = subscribe(shop)
    later = START + timedelta(days=1)
    factories.PriceFactory.create(kind="plan", reference="m", amount_minor=90_000, valid_from=later)
    factories.PriceFactory.create(kind="addon", reference="backup", amount_minor=5_000, valid_from=later)

    looked = preview(shop, subscription, ChangeSelection(add_addons=("backup",)))

    assert looked.proposal.priced.monthly_minor == PLAN_MINOR + 5_000
    assert looked.quote.total_minor == 2_500


def test_a_larger_plan_brings_its_add_ons_and_takes_over_what_was_paid_for(shop: Shop) -> None:
    stock(shop)
    included("monitor", "l")
    included("archive", "l")
    subscription = subscribe(shop)
    change(shop, subscription, ChangeSelection(add_addons=("monitor", "backup")))

    looked = preview(shop, subscription, UP)

    items = {item["reference"]: item["unit_minor"] for item in looked.proposal.items}
    assert items == {"l": LARGE_MINOR, "bp-wordpress": 0, "monitor": 0, "archive": 0, "backup": BACKUP_MINOR}
    # 30.000 more for the Plan, 6.000 less for what it includes now
    assert (looked.proposal.kind, looked.quote.total_minor) == ("now", 12_000)
    assert sum(line.unit_minor for line in looked.proposal.priced.lines) == 12_000


def test_a_smaller_plan_takes_its_add_ons_along_unless_they_are_wanted(shop: Shop) -> None:
    stock(shop)
    included("monitor", "l")
    subscription = subscribe(shop)
    change(shop, subscription, UP)

    lost = preview(shop, subscription, ChangeSelection(plan="m"))
    kept = preview(shop, subscription, ChangeSelection(plan="m", add_addons=("monitor",)))

    assert [item["reference"] for item in lost.proposal.lost_for_good] == ["monitor"]
    assert (lost.proposal.kind, lost.proposal.priced.monthly_minor) == ("period_end", PLAN_MINOR)
    assert (kept.proposal.lost_for_good, kept.proposal.priced.monthly_minor) == ([], PLAN_MINOR + 6_000)


def test_a_second_copy_is_a_second_item_and_its_price_is_its_own(shop: Shop) -> None:
    stock(shop)
    subscription = subscribe(shop)
    change(shop, subscription, ChangeSelection(add_blueprints=("bp-bookstack",)))
    factories.PriceFactory.create(kind="blueprint", reference="bp-bookstack", amount_minor=7_000, valid_from=HALF)

    change(shop, subscription, ChangeSelection(add_blueprints=("bp-bookstack",)), now=HALF + timedelta(hours=1))

    copies = [item for item in current_row(subscription).items if item["reference"] == "bp-bookstack"]
    assert [(item["quantity"], item["unit_minor"]) for item in copies] == [(1, BOOKSTACK_MINOR), (1, 7_000)]
    paid = Outbox.objects.filter(topic="order.paid").order_by("-id")[0].payload
    assert paid["blueprints"] == ["bp-bookstack"]


def test_looking_writes_nothing(shop: Shop) -> None:
    stock(shop)
    subscription = subscribe(shop)
    before = (current_row(subscription).items, SubscriptionChange.objects.count(), books(shop))

    looked = preview(shop, subscription, UP)

    assert (looked.quote.split.credit_minor, looked.quote.split.charge_minor) == (15_000, 0)
    assert (current_row(subscription).items, SubscriptionChange.objects.count(), books(shop)) == before
