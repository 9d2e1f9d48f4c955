"""The card page: plain, in two languages, honest about being a sandbox, and without a script."""

import pytest

from tests.stripe.orders import create_coupon, create_session
from tests.stripe.pages import visit
from tests.stripe_standin import StripeStandIn

CANCEL_URL = "http://127.0.0.1:8000/checkout/"


@pytest.fixture
def url(stripe_standin: StripeStandIn) -> str:
    """Return the page of an order of 12.340 OMR with 5.000 of credit."""
    create_coupon(stripe_standin)
    return str(create_session(stripe_standin, discounts=[{"coupon": "co_1"}]).url)


def test_shows_lines_discount_and_total(url: str) -> None:
    reply, page = visit(url)

    assert reply.status == 200
    assert 'lang="en" dir="ltr"' in page
    assert "Sandbox: no money moves" in page
    for text in ("Plan M", "every month", "OMR\u00a012.340", "\u2212OMR\u00a05.000", "OMR\u00a07.340"):
        assert text in page
    for button in ("Pay <bdi>", "Pay, but the card is declined", "Pay later (asynchronous method)", "Cancel and go"):
        assert button in page
    assert "<script" not in page
    assert "style=" not in page


def test_allows_itself_and_the_way_back_only(url: str) -> None:
    reply, _ = visit(url)

    assert reply.headers["Content-Security-Policy"] == (
        "default-src 'none'; style-src 'self'; form-action 'self' http://127.0.0.1:8000; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
    style, _ = visit(url.rsplit("/", 1)[0] + "/style.css")
    assert (style.status, style.headers["Content-Type"]) == (200, "text/css; charset=utf-8")


@pytest.mark.parametrize(("suffix", "accept"), [("", "ar-OM,en;q=0.5"), ("?language=ar", "en")])
def test_speaks_arabic(url: str, suffix: str, accept: str) -> None:
    _, page = visit(url + suffix, language=accept)

    assert 'lang="ar" dir="rtl"' in page
    assert "بيئة تجريبية: لا تنتقل أي أموال" in page
    assert "7.340\u00a0ر.ع." in page


def test_pays_and_returns_to_the_shop(stripe_standin: StripeStandIn, url: str) -> None:
    session_id = url.rsplit("/", 1)[1]

    reply, _ = visit(url, "pay")

    assert (reply.status, reply.headers["Location"]) == (303, f"http://127.0.0.1:8000/orders/1/?session={session_id}")
    assert stripe_standin.captured_minor() == 7_340


def test_pays_once_however_often_it_is_pressed(stripe_standin: StripeStandIn, url: str) -> None:
    visit(url, "pay")

    reply, page = visit(url, "pay")

    assert (reply.status, "Already paid" in page) == (200, True)
    assert stripe_standin.captured_minor() == 7_340


def test_declines_and_lets_try_again(stripe_standin: StripeStandIn, url: str) -> None:
    reply, page = visit(url, "decline")

    assert (reply.status, 'role="alert"' in page) == (402, True)
    assert (stripe_standin.captured_minor(), len(stripe_standin.sessions(status="open"))) == (0, 1)
    assert visit(url, "pay")[0].status == 303


def test_completes_without_money_when_paying_later(stripe_standin: StripeStandIn, url: str) -> None:
    reply, _ = visit(url, "later")

    assert reply.status == 303
    assert [row["payment_status"] for row in stripe_standin.sessions(status="complete")] == ["unpaid"]


def test_goes_back_and_leaves_the_session_open(stripe_standin: StripeStandIn, url: str) -> None:
    reply, _ = visit(url, "cancel")

    assert (reply.status, reply.headers["Location"]) == (303, CANCEL_URL)
    assert len(stripe_standin.sessions(status="open")) == 1


@pytest.mark.parametrize("action", ["", "pay", "later", "cancel"])
def test_takes_no_money_after_the_expiry(stripe_standin: StripeStandIn, url: str, action: str) -> None:
    stripe_standin.clock.advance(35 * 60 + 1)

    reply, page = visit(url, action)

    assert (reply.status, "has expired" in page, CANCEL_URL in page) == (410, True, True)
    assert stripe_standin.captured_minor() == 0


def test_does_not_know_other_addresses(url: str) -> None:
    reply, page = visit(url + "x")

    assert (reply.status, "No such payment" in page) == (404, True)


def test_shows_names_as_text(stripe_standin: StripeStandIn) -> None:
    item = {
        "quantity": 1,
        "price_data": {
            "currency": "omr",
            "unit_amount": 1000,
            "product_data": {"name": "<script>alert(1)</script>"},
            "recurring": {"interval": "month"},
        },
    }

    _, page = visit(str(create_session(stripe_standin, line_items=[item]).url))

    assert "&lt;script&gt;" in page
    assert "<script" not in page
