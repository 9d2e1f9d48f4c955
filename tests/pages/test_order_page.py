"""The order's page and its e-mails: who sees it, what it says at each stage."""

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from billing.models import Order
from billing.projections.live_order import render_order
from billing.services.order_mail import mail_order_confirmed, mail_order_ready
from catalyst.core.http.streams import StreamAccess
from catalyst.core.outbox import Message
from marketplace.models import ApplicationStatus, Change
from tenancy.models import Membership
from tests import factories
from tests.billing.shop import Shop

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def order(shop: Shop) -> Order:
    """An order paid from credit."""
    voucher = shop.voucher(60_000)
    outcome = shop.buy(voucher_code=shop.code(voucher))
    return Order.objects.get(number=outcome.order_number)


def deliver(shop: Shop, order: Order, *, status: str, **change: Any) -> None:
    """Write the rows that a delivery leaves."""
    environment = factories.EnvironmentFactory.create(organization=shop.organization)
    now = timezone.now()
    Change.objects.create(
        organization=shop.organization,
        environment=environment,
        author=shop.buyer,
        order_number=order.number,
        seq=1,
        commit="a" * 40,
        committed_at=now,
        **{"state": Change.State.RECONCILING, **change},
    )
    ApplicationStatus.objects.create(
        organization_id=shop.organization.pk,
        environment_id=environment.pk,
        env_type="prod",
        application="wordpress",
        blueprint="bp-wordpress",
        title="WordPress",
        version="1.0.0",
        status=status,
        observed_at=now,
        order_number=order.number,
        requested_at=now - timedelta(seconds=9),
        sequence=1,
        url="https://wordpress.acme-prod.cloud.example.om",
    )


def page(client: Client, order: Order, **headers: str) -> str:
    response = client.get(f"/orders/{order.number}/", headers=headers)
    assert response.status_code == 200
    return str(response.content.decode())


def message(topic: str) -> Message:
    return Message(id=1, topic=topic, key="k", stream="s", payload={}, created_at=timezone.now(), sequence=1)


def test_a_fresh_order_is_confirmed_and_waits(shop: Shop, order: Order, client: Client) -> None:
    client.force_login(shop.buyer)

    html = page(client, order)

    assert "Order confirmed" in html
    assert 'data-status="paid"' in html
    assert html.count('data-status="pending"') == 3
    assert f'hx-sse:connect="/events/organizations/acme/?view=order%3A{order.number}&amp;after=' in html
    assert '<noscript><meta http-equiv="refresh" content="10"></noscript>' in html


def test_while_it_installs_it_counts_and_names_the_commit(shop: Shop, order: Order, client: Client) -> None:
    client.force_login(shop.buyer)
    deliver(shop, order, status="installing")

    html = page(client, order)

    assert "(0 of 1)" in html
    assert 'data-status="installing"' in html
    assert "a" * 40 in html
    assert "/git/acme/acme-prod.git" in html


def test_ready_is_said_once_everything_is_and_nothing_polls_any_more(shop: Shop, order: Order, client: Client) -> None:
    client.force_login(shop.buyer)
    deliver(shop, order, status="ready", state=Change.State.SUCCEEDED, finished_at=timezone.now())

    html = page(client, order)

    assert "Everything is ready." in html
    assert "hx-sse:connect" not in html
    assert "http-equiv" not in html


def test_the_word_of_the_sandbox_is_labelled(shop: Shop, order: Order, client: Client) -> None:
    client.force_login(shop.buyer)
    deliver(shop, order, status="ready")
    assert ">sandbox<" not in page(client, order)

    shop.sovereign.is_sandbox = True
    shop.sovereign.save()

    assert ">sandbox<" in page(client, order)


def test_a_failure_names_its_reason(shop: Shop, order: Order, client: Client) -> None:
    client.force_login(shop.buyer)
    deliver(shop, order, status="failed", state=Change.State.FAILED, status_reason="The image could not be downloaded.")

    html = page(client, order)

    assert "The image could not be downloaded." in html
    assert "hx-sse:connect" not in html


def test_htmx_gets_the_timeline_alone(shop: Shop, order: Order, client: Client) -> None:
    client.force_login(shop.buyer)

    html = page(client, order, **{"HX-Request": "true"})

    assert html.strip().startswith('<div id="timeline"')


def test_the_live_stream_draws_the_same_timeline(shop: Shop, order: Order) -> None:
    deliver(shop, order, status="installing")
    access = StreamAccess(f"organization:{shop.organization.pk}", shop.buyer.pk, "en", None)

    frame = render_order(access, order.number, message("application.observed"))

    assert frame is not None
    assert (frame.is_done, 'data-status="installing"' in frame.html) == (False, True)
    assert render_order(access, order.number, message("voucher.redeemed")) is None
    assert render_order(access, "OMN-2026-999999", message("application.observed")) is None
    foreign = StreamAccess("organization:999999", shop.buyer.pk, "en", None)
    assert render_order(foreign, order.number, message("application.observed")) is None
    other_environment = StreamAccess(access.stream, shop.buyer.pk, "en", frozenset({"dev"}))
    assert render_order(other_environment, order.number, message("application.observed")) is None


@pytest.mark.parametrize(
    ("role", "sees_money", "sees_apps"),
    [("billing-admin", True, False), ("org-developer", False, True), ("org-viewer", True, True)],
)
def test_each_role_sees_its_part(
    shop: Shop, order: Order, client: Client, role: str, sees_money: bool, sees_apps: bool
) -> None:
    client.force_login(factories.MembershipFactory.create(organization=shop.organization, role=role).user)

    html = page(client, order)

    assert ("What was bought" in html, 'id="timeline"' in html) == (sees_money, sees_apps)


def test_strangers_find_nothing(shop: Shop, order: Order, client: Client) -> None:
    other = factories.MembershipFactory.create(role=Membership.Role.ADMIN).user
    assert client.get(f"/orders/{order.number}/").headers["Location"].startswith("/account/sign-in/?next=")

    client.force_login(other)

    foreign, missing = client.get(f"/orders/{order.number}/"), client.get("/orders/OMN-2026-999999/")
    assert (foreign.status_code, missing.status_code) == (404, 404)


@pytest.mark.parametrize(
    ("language", "subject", "ready"),
    [
        ("en", "Order {} confirmed", "Your apps are ready"),
        ("ar", "تم تأكيد الطلب {}", "تطبيقاتك جاهزة"),
    ],
)
def test_the_buyer_is_written_to_in_their_language(
    shop: Shop, order: Order, language: str, subject: str, ready: str
) -> None:
    shop.buyer.language = language
    shop.buyer.save()
    deliver(shop, order, status="ready")

    mail_order_confirmed(order_number=order.number, event="order.paid:1")
    mail_order_ready(order_number=order.number, event="order.ready:1")

    confirmed, done = mail.outbox
    assert (confirmed.subject, done.subject) == (subject.format(order.number), ready)
    assert confirmed.to == [shop.buyer.email]
    assert f"/orders/{order.number}/" in str(confirmed.body)
    assert "50.000" in str(confirmed.body)
    assert confirmed.extra_headers["Message-ID"] == "<order.paid.1@cloud.example.om>"
    assert f'dir="{"rtl" if language == "ar" else "ltr"}"' in confirmed.message().as_string()
