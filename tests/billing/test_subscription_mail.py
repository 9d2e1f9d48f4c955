"""What the billing contact is told about a subscription: once per event, in their language, with what to do next."""

from typing import Any

import pytest
from django.core import mail
from django.db import transaction

from billing.models import Account, BillingDetails
from billing.services.subscription_mail import MAILS, mail_subscription
from billing.services.subscriptions import cancel_subscription, lock_with_account, restore
from catalyst.core import outbox
from catalyst.core.models import Delivery, Outbox
from tenancy.models import Membership
from tests.billing.shop import PLAN_MINOR, Shop
from tests.billing.subscribed import DAY, Customer, deliver, let_owe, subscribe
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)


def sent() -> list[str]:
    """Deliver what waits and return the subjects of the mails."""
    mail.outbox.clear()
    deliver("billing.mail_subscription")
    return [str(message.subject) for message in mail.outbox]


def texts(message: Any) -> tuple[str, str]:
    (html, kind), *_ = message.alternatives
    assert kind == "text/html"
    return message.body, html


def paused(shop: Shop) -> Customer:
    customer = subscribe(shop, "acme-one")
    since = customer.ends
    customer.sweep(since)
    customer.sweep(since + 7 * DAY)
    return customer


def test_each_step_of_a_debt_is_told(shop_without_processor: Shop) -> None:
    customer = subscribe(shop_without_processor, "acme-one", credit_minor=PLAN_MINOR - 10_000)
    since = customer.ends

    customer.sweep(since - 7 * DAY)
    assert sent() == ["Your credit does not cover the next month of acme-one-prod"]
    body, html = texts(mail.outbox[0])
    assert "It costs OMR\xa050.000, and OMR\xa010.000 of that is missing." in body
    assert 'value="50000"' in html
    assert "/console/acme-one/billing/" in body
    assert "/console/acme-one/billing/" in html

    customer.sweep(since)
    assert sent() == ["Payment for acme-one-prod failed"]
    assert "Your credit does not cover the OMR\xa050.000 that acme-one-prod costs." in mail.outbox[0].body

    customer.sweep(since + 5 * DAY)
    (subject,) = sent()
    assert subject.startswith("Service pauses on ")

    customer.sweep(since + 7 * DAY)
    assert sent() == ["Your apps in acme-one-prod are paused"]

    customer.redeem(10_000)
    deliver("billing.pay_debts")
    assert sent() == ["Payment received for acme-one-prod"]
    assert "Your apps are starting again now" in mail.outbox[0].body


@pytest.mark.parametrize("unpaid", [True, False])
def test_the_end_is_told_with_its_reason(shop_without_processor: Shop, unpaid: bool) -> None:
    customer = paused(shop_without_processor) if unpaid else subscribe(shop_without_processor, "acme-one")
    sent()
    if unpaid:
        customer.sweep(customer.ends + 37 * DAY)
    else:
        cancel_subscription(
            subscription_id=customer.subscription.pk, at_once=True, actor="staff", reason="asked", now=customer.ends
        )

    assert sent() == ["The subscription of acme-one-prod has ended"]
    assert ("was not paid in time" in mail.outbox[0].body) is unpaid


def test_goes_to_the_billing_contact_and_carries_the_events_id(shop_without_processor: Shop) -> None:
    customer = subscribe(shop_without_processor, "acme-one")
    account = Account.objects.get(pk=customer.shop.organization.pk)
    BillingDetails.objects.create(organization=account, email="books@acme.example")
    customer.sweep(customer.ends)
    sent()

    (message,) = mail.outbox
    assert message.to == ["books@acme.example"]
    assert message.extra_headers["Message-ID"] == (
        f"<subscription.past_due.{customer.subscription.pk}.2@cloud.example.om>"
    )


def test_is_written_in_the_readers_language(shop_without_processor: Shop) -> None:
    """The language is that of whoever reads at the address, as with invoices, and not the buyer's."""
    customer = subscribe(shop_without_processor, "acme-one")
    UserFactory.create(email="books@acme.example", language="ar")
    account = Account.objects.get(pk=customer.shop.organization.pk)
    BillingDetails.objects.create(organization=account, email="books@acme.example")
    customer.sweep(customer.ends)
    sent()

    (message,) = mail.outbox
    assert '<html lang="ar" dir="rtl">' in texts(message)[1]


def test_an_organization_with_nobody_for_bills_is_told_through_the_buyer(shop_without_processor: Shop) -> None:
    customer = subscribe(shop_without_processor, "acme-one")
    Membership.objects.filter(organization_id=customer.shop.organization.pk).update(role=Membership.Role.VIEWER)
    customer.sweep(customer.ends)
    sent()

    (message,) = mail.outbox
    assert message.to == [customer.shop.buyer.email]


@pytest.mark.parametrize("reason", ["card", "debt_dropped"])
def test_only_who_paid_is_thanked_for_a_payment(shop_without_processor: Shop, reason: str) -> None:
    customer = subscribe(shop_without_processor, "acme-one")
    let_owe(customer.subscription, since=customer.ends)
    with transaction.atomic(durable=True):
        _account, locked = lock_with_account(customer.subscription.pk)
        assert restore(locked, actor="test", reason=reason, now=customer.ends)
    sent()

    text, html = texts(mail.outbox[-1])
    paid = reason == "card"
    assert mail.outbox[-1].subject == (
        "Payment received for acme-one-prod" if paid else "Nothing is due for acme-one-prod any more"
    )
    assert ("is paid until" in text, "is paid until" in html) == (paid, paid)
    assert ("its invoice was withdrawn" in text, "its invoice was withdrawn" in html) == (not paid, not paid)


def test_goes_to_the_buyer_in_the_buyers_language(shop_without_processor: Shop) -> None:
    customer = subscribe(shop_without_processor, "acme-one")
    type(customer.shop.buyer).objects.filter(pk=customer.shop.buyer.pk).update(language="ar")
    customer.sweep(customer.ends)
    sent()

    (message,) = mail.outbox
    assert message.to == [customer.shop.buyer.email]
    assert '<html lang="ar" dir="rtl">' in texts(message)[1]


@pytest.mark.parametrize("topic", ["subscription.past_due", "subscription.suspended"])
def test_a_demand_that_was_met_meanwhile_is_not_sent(shop_without_processor: Shop, topic: str) -> None:
    customer = paused(shop_without_processor)
    event = Outbox.objects.get(topic=topic)
    customer.redeem(PLAN_MINOR)
    customer.sweep(customer.ends + 8 * DAY)
    assert customer.state == "active"
    mail.outbox.clear()

    assert mail_subscription(topic=topic, payload=event.payload, event=event.dedup_key) is False

    assert mail.outbox == []


def test_every_mail_has_its_consumer() -> None:
    assert sorted(MAILS) == [
        "subscription.canceled",
        "subscription.card_needed",
        "subscription.past_due",
        "subscription.resumed",
        "subscription.suspended",
        "subscription.suspension_ahead",
    ]
    for topic in MAILS:
        with transaction.atomic(durable=True):
            outbox.publish(topic=topic, key=topic, stream="test", payload={})
    outbox.relay_once()
    waiting = Delivery.objects.filter(consumer="billing.mail_subscription")
    assert sorted(waiting.values_list("message__topic", flat=True)) == sorted(MAILS)
