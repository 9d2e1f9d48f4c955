"""From the sale to the end of a subscription: what billing tells is what the Environment does, one commit each."""

import uuid
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from billing.models import Subscription
from billing.services.checkout_types import Selection
from billing.services.ledger import open_account
from billing.services.subscriptions import cancel_subscription, lock_with_account, mark_past_due, move, restore
from marketplace.models import Application, Change
from tenancy.models import Organization, Sovereign, User
from tests import factories
from tests.billing.shop import Shop
from tests.billing.subscribed import add_credit, deliver
from tests.marketplace.deliver_rows import Desk, open_desk

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk(sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any) -> Desk:
    return open_desk(organization, org_admin)


@pytest.fixture
def customer(desk: Desk, sovereign: Sovereign) -> Shop:
    """The shipped catalogue's shop, with a customer who has credit for years."""
    staff = factories.UserFactory.create(staff_role=User.StaffRole.ADMIN)
    open_account(organization=desk.organization, sovereign=sovereign)
    shop = Shop(sovereign=sovereign, organization=desk.organization, buyer=desk.buyer, staff=staff)
    add_credit(shop, 9_000_000)
    return shop


def buy(shop: Shop) -> int:
    shop.buy(selection=Selection(plan="m", blueprints=("bp-uptime-kuma",)), cart_id=uuid.uuid4())
    deliver("marketplace.deliver_order")
    return Subscription.objects.latest("pk").pk


def suspend(subscription_id: int) -> None:
    now = timezone.now()
    with transaction.atomic(durable=True):
        _account, subscription = lock_with_account(subscription_id)
        mark_past_due(subscription, actor="test", reason="", now=now)
    with transaction.atomic(durable=True):
        _account, subscription = lock_with_account(subscription_id)
        move(subscription, "suspended", actor="test", now=now, suspended_at=now)


def pay(subscription_id: int) -> None:
    with transaction.atomic(durable=True):
        _account, subscription = lock_with_account(subscription_id)
        restore(subscription, actor="test", reason="", now=timezone.now())


def end(shop: Shop, subscription_id: int) -> None:
    cancel_subscription(
        subscription_id=subscription_id, at_once=True, actor=shop.staff, reason="support", now=timezone.now()
    )


def kinds() -> list[str]:
    return list(Change.objects.order_by("seq").values_list("kind", flat=True))


def test_each_step_is_one_commit(desk: Desk, customer: Shop) -> None:
    subscription_id = buy(customer)
    suspend(subscription_id)
    deliver("marketplace.pause_applications")
    assert Application.objects.get().state == "paused"
    pay(subscription_id)
    deliver("marketplace.resume_applications")
    assert Application.objects.get().state == "active"
    end(customer, subscription_id)
    deliver("marketplace.offboard_applications")

    assert kinds() == ["install", "pause", "resume", "offboard"]
    assert len(desk.history()) == 4
    assert not Application.objects.filter(removed_by=None).exists()

    buy(customer)
    assert kinds() == ["install", "pause", "resume", "offboard", "install"]
    assert Application.objects.get(removed_by=None).slug == "uptime-kuma"


def test_payment_that_overtakes_the_suspension_wins(desk: Desk, customer: Shop) -> None:
    subscription_id = buy(customer)
    suspend(subscription_id)
    pay(subscription_id)

    deliver("marketplace.resume_applications")
    deliver("marketplace.pause_applications")

    assert kinds() == ["install", "resume"]
    assert Application.objects.get().state == "active"


def test_the_end_that_is_delivered_last_spares_what_was_bought_since(desk: Desk, customer: Shop) -> None:
    subscription_id = buy(customer)
    end(customer, subscription_id)
    buy(customer)

    deliver("marketplace.offboard_applications")

    assert kinds() == ["install", "install", "offboard"]
    assert list(Application.objects.filter(removed_by=None).values_list("slug", flat=True)) == ["uptime-kuma-2"]
    assert "apps/uptime-kuma-2/application.yaml" in desk.tree()
    assert "apps/uptime-kuma/application.yaml" not in desk.tree()


def test_an_order_that_is_delivered_after_its_end_brings_nothing(desk: Desk, customer: Shop) -> None:
    customer.buy(selection=Selection(plan="m", blueprints=("bp-uptime-kuma",)), cart_id=uuid.uuid4())
    end(customer, Subscription.objects.get().pk)

    deliver("marketplace.offboard_applications")
    deliver("marketplace.deliver_order")

    assert not Application.objects.exists()
    assert Change.objects.get(kind="install").status_reason == "The subscription ended before this was installed."
