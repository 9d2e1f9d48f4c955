"""Back from the card page: paid, not yet, not at all, in doubt; and a payment that goes on in another window."""

from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from billing.models import Cart, Checkout, Order
from tests.billing.shop import Shop, books
from tests.pages.test_checkout_wizard import fill_for, page, pay
from tests.stripe_standin import StripeStandIn

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _fresh_limits() -> None:
    cache.clear()


@pytest.fixture
def session(shop: Shop, client: Client) -> str:
    """The card page that the shopper was sent to, with a part paid by a Voucher."""
    fill_for(client, shop)
    client.post("/checkout/voucher/", {"code": shop.code(shop.voucher())})
    return str(pay(client).headers["Location"]).rstrip("/").rpartition("/")[2]


def standin(shop: Shop) -> StripeStandIn:
    assert shop.standin is not None
    return shop.standin


def come_back(client: Client, session: str, **headers: str) -> Any:
    return client.get("/checkout/return/", {"session_id": session}, headers=headers)


def test_paid_leads_to_the_order(shop: Shop, client: Client, session: str) -> None:
    standin(shop).pay(session)

    answer = come_back(client, session)

    order = Order.objects.get()
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/orders/{order.number}/")
    assert order.state == "paid"


def test_the_middle_of_the_page_sends_the_whole_page_on(shop: Shop, client: Client, session: str) -> None:
    standin(shop).pay(session)

    answer = come_back(client, session, **{"HX-Request": "true"})

    assert answer.headers["HX-Redirect"] == f"/orders/{Order.objects.get().number}/"


def test_a_silent_processor_is_waited_for(shop: Shop, client: Client, session: str) -> None:
    standin(shop).pay(session)
    with standin(shop).outage():
        answer = come_back(client, session)

    html = answer.content.decode()
    assert (answer.status_code, "Confirming your payment…" in html) == (200, True)
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in html
    assert Order.objects.get().state == "pending_payment"


def test_an_expired_page_charged_nothing_and_keeps_the_credit(shop: Shop, client: Client, session: str) -> None:
    standin(shop).expire(session)

    answer = come_back(client, session)

    assert answer.headers["Location"] == "/checkout/review/?cancelled=1"
    html = page(client, answer.headers["Location"])
    assert "You haven't been charged" in html
    assert "credit is in your balance" in html
    assert (books(shop).posted, books(shop).held) == (10_000, 0)


def test_a_payment_in_doubt_is_not_promised(shop: Shop, client: Client, session: str) -> None:
    standin(shop).pay(session)
    standin(shop).tamper("checkout.session", session, amount_total=1)

    html = come_back(client, session).content.decode()

    assert "We're checking your payment" in html
    assert Order.objects.get().number in html
    assert "hx-get" not in html.partition('id="payment"')[2].partition("</div>")[0]


def test_pressed_again_it_is_the_same_card_page(shop: Shop, client: Client, session: str) -> None:
    again = pay(client)

    assert again.headers["Location"].rstrip("/").endswith(session)
    assert Order.objects.count() == 1


def test_the_other_window_can_be_called_off(shop: Shop, client: Client, session: str) -> None:
    answer = client.post("/checkout/cancel/")

    assert answer.headers["Location"] == "/checkout/review/?cancelled=1"
    assert Order.objects.get().state == "cancelled"
    assert Cart.objects.get().ordered_at is None


def test_a_payment_under_way_elsewhere_is_named(shop: Shop, client: Client, session: str) -> None:
    standin(shop).pay_later(session)
    come_back(client, session)
    assert Checkout.objects.get().state == "payment_processing"

    answer = pay(client, quote="")

    html = answer.content.decode()
    assert (answer.status_code, "This order is being paid in another window." in html) == (409, True)
    assert "Cancel that one" in html
    assert Order.objects.count() == 1
