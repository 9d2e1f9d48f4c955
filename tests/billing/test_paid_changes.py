"""A change that brings something to buy: paid from credit at apply, once, and given back when it is not saved."""

from dataclasses import replace
from datetime import timedelta
from threading import Barrier, Thread
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection

from billing.models import Account, Order, SubscriptionEvent
from billing.services import paid_changes
from billing.services.paid_changes import PlanNeeded, give_back
from catalyst.core.errors import DomainError, PermissionRefused
from catalyst.core.failpoints import Crash, armed, crash
from catalyst.core.models import Outbox
from marketplace.models import Application, Change, ChangePreview
from marketplace.services.change_previews import apply_preview, preview_change
from marketplace.services.changes_commit import commit_changes
from marketplace.services.delivery import deliver_order, paid_order
from marketplace.services.planner_request import ChangeRequest, Install
from tenancy.models import Environment, Membership, User
from tenancy.services.environments import create_environment
from tests import factories
from tests.billing.changing import HALF, current_row, stock, subscribe
from tests.billing.shop import PLAN_MINOR, Shop
from tests.marketplace.upgrade_rows import publish

pytestmark = pytest.mark.django_db(transaction=True)

BOARD_MINOR = 4_000
#: Half of the period is over.
DUE_MINOR = BOARD_MINOR // 2


class Place:
    """The Environment of a customer with a Plan and some credit, and what the catalogue has for it."""

    def __init__(self, shop: Shop, credit: int) -> None:
        stock(shop)
        self.shop = shop
        for name in ("board", "forum"):
            factories.PriceFactory.create(kind="blueprint", reference=f"bp-{name}", amount_minor=BOARD_MINOR)
            publish(name, "1.0.0")
        self.subscription = subscribe(shop, credit=PLAN_MINOR + credit)
        made = create_environment(organization=shop.organization, env_type="prod", actor=shop.buyer, now=HALF)
        self.pk = made.pk

    def environment(self) -> Environment:
        return Environment.objects.select_related("organization").get(pk=self.pk)

    def look(self, name: str = "board", **more: Any) -> ChangePreview:
        wanted = Install(blueprint=f"bp-{name}", name=f"my-{name}")
        return preview_change(
            environment=self.environment(), request=ChangeRequest(install=(wanted,)), actor=self.shop.buyer, now=HALF
        )

    def apply(self, preview: ChangePreview, actor: User | None = None) -> Change:
        return apply_preview(
            environment=self.environment(), preview_id=preview.pk, actor=actor or self.shop.buyer, now=HALF
        )

    def save(self) -> int:
        return commit_changes(environment_id=self.pk, owner="worker-1", now=HALF)

    def deliver(self, order: Order) -> Change:
        """Do what the worker does when it sees ``order.paid``."""
        event = Outbox.objects.get(topic="order.paid", payload__order=order.number)
        return deliver_order(order=paid_order(event.payload, log_sequence=0), owner="worker-2", now=HALF)

    def credit(self) -> int:
        return self._account().posted_minor - self._account().held_minor

    def _account(self) -> Account:
        return Account.objects.get(pk=self.shop.organization.pk)

    def contents(self) -> list[str]:
        return [item["reference"] for item in current_row(self.subscription).items]


@pytest.fixture
def place(shop: Shop, catalyst_home: Any) -> Place:
    return Place(shop, credit=10_000)


def newest_order() -> Order:
    return Order.objects.order_by("-id")[0]


def test_the_preview_says_what_it_costs(place: Place) -> None:
    cost = place.look().shown["cost_delta"]

    assert cost["due_now"] == {"amount": DUE_MINOR, "currency": "OMR"}
    assert cost["monthly_after"]["amount"] - cost["monthly_before"]["amount"] == BOARD_MINOR
    assert cost["is_sale"]


def test_credit_is_spent_at_apply_and_exactly_the_preview_is_saved(place: Place) -> None:
    preview = place.look()

    change = place.apply(preview)

    assert place.credit() == 10_000 - DUE_MINOR
    assert change.order_number == newest_order().number
    assert place.contents()[-1] == "bp-board"
    assert place.deliver(newest_order()).pk == change.pk
    change.refresh_from_db()
    assert change.commit
    assert list(Application.objects.values_list("slug", flat=True)) == ["my-board"]
    assert place.apply(preview).pk == change.pk
    assert (Order.objects.count(), Change.objects.count()) == (2, 1)


@pytest.mark.parametrize("by_the_order", [True, False])
def test_a_crash_after_the_purchase_costs_once_and_installs_once(place: Place, by_the_order: bool) -> None:
    preview = place.look()
    with armed("change.apply.after_purchase", crash), pytest.raises(Crash):
        place.apply(preview)
    assert (place.credit(), Change.objects.count()) == (10_000 - DUE_MINOR, 0)

    change = place.deliver(newest_order()) if by_the_order else place.apply(preview)
    place.save()

    assert (change.preview_id, change.order_number) == (preview.pk, newest_order().number)
    assert place.apply(preview).pk == place.deliver(newest_order()).pk == change.pk
    assert (place.credit(), Order.objects.count(), Change.objects.count()) == (10_000 - DUE_MINOR, 2, 1)
    assert list(Application.objects.values_list("slug", flat=True)) == ["my-board"]


def test_control_without_the_stored_key_a_crash_would_cost_twice(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    preview = place.look()
    keys = iter("abc")
    real = paid_changes._request

    def other_key(*arguments: Any) -> Any:
        return replace(real(*arguments), key=f"preview-{next(keys)}", cart_id=uuid4())

    monkeypatch.setattr(paid_changes, "_request", other_key)
    with armed("change.apply.after_purchase", crash), pytest.raises(Crash):
        place.apply(preview)

    place.apply(preview)

    assert place.credit() == 10_000 - 2 * DUE_MINOR


def test_without_enough_credit_nothing_is_bought(shop: Shop, catalyst_home: Any) -> None:
    place = Place(shop, credit=DUE_MINOR - 1)
    preview = place.look()
    before = (place.credit(), place.contents(), Order.objects.count())

    with pytest.raises(DomainError) as refused:
        place.apply(preview)

    assert (refused.value.code, refused.value.status) == ("insufficient_credit", 402)
    assert refused.value.extra["missing"]["currency"] == "OMR"
    assert (place.credit(), place.contents(), Order.objects.count()) == before
    assert Change.objects.count() == 0


def test_two_previews_and_one_balance(shop: Shop, catalyst_home: Any) -> None:
    place = Place(shop, credit=DUE_MINOR)
    previews = [place.look("board"), place.look("forum")]
    outcomes: list[str] = []
    barrier = Barrier(2)

    def run(preview: ChangePreview) -> None:
        try:
            barrier.wait()
            place.apply(preview)
            outcomes.append("applied")
        except DomainError as error:
            outcomes.append(error.code)
        finally:
            connection.close()

    threads = [Thread(target=run, args=(each,)) for each in previews]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert outcomes.count("applied") == 1
    assert set(outcomes) - {"applied"} <= {
        "insufficient_credit",
        "change_in_progress",
        "checkout_in_progress",
        "base_commit_moved",
    }
    assert (place.credit(), Order.objects.count(), Change.objects.count()) == (0, 2, 1)


def test_who_may_change_but_not_buy_is_told_whom_to_ask(place: Place) -> None:
    preview = place.look()
    developer = factories.MembershipFactory.create(
        organization=place.shop.organization, role=Membership.Role.DEVELOPER
    ).user

    with pytest.raises(PermissionRefused):
        place.apply(preview, developer)

    assert (place.credit(), Change.objects.count()) == (10_000, 0)


def test_an_environment_without_a_plan_installs_nothing(place: Place) -> None:
    stg = create_environment(organization=place.shop.organization, env_type="stg", actor=place.shop.buyer, now=HALF)
    place.pk = stg.pk
    preview = place.look()
    assert "acme-stg has no Plan yet" in preview.shown["cost_delta"]["note"]

    with pytest.raises(PlanNeeded):
        place.apply(preview)

    assert Change.objects.count() == 0


def test_what_was_not_saved_is_given_back_once(place: Place) -> None:
    change = place.apply(place.look())
    Change.objects.filter(pk=change.pk).update(target_tree="0" * 40)
    assert place.save() == 0
    change.refresh_from_db()
    assert change.state == "superseded"

    with armed("change.give_back.after_items", crash), pytest.raises(Crash):
        give_back(change_id=change.pk, now=HALF)
    give_back(change_id=change.pk, now=HALF)
    give_back(change_id=change.pk, now=HALF + timedelta(minutes=1))

    assert place.credit() == 10_000
    assert "bp-board" not in place.contents()
    assert SubscriptionEvent.objects.filter(reason__startswith="given back").count() == 1
    order = Order.objects.get(number=change.order_number)
    assert order.state == "refunded"
    assert not Application.objects.filter(removed_by=None).exists()


def test_what_was_saved_is_not_given_back(place: Place) -> None:
    change = place.apply(place.look())
    place.save()

    assert give_back(change_id=change.pk, now=HALF) is None
    assert place.credit() == 10_000 - DUE_MINOR
