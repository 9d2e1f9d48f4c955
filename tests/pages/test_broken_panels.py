"""A panel that cannot be read says so where it would stand, with a reference and a way to try again; the rest stays."""

from collections.abc import Callable

import pytest
from django.db import OperationalError
from django.test import Client

from tests.billing.shop import Shop
from tests.pages.test_console import APPS, BILLING, application

pytestmark = pytest.mark.django_db(transaction=True)

INVOICES = "/console/acme/invoices/"
Break = Callable[[str], None]


@pytest.fixture
def break_down(monkeypatch: pytest.MonkeyPatch) -> Break:
    """Return what lets one selector fail as the database does."""

    def gone(*_arguments: object, **_named: object) -> None:
        raise OperationalError

    return lambda place: monkeypatch.setattr(place, gone)


@pytest.fixture
def bought(shop: Shop, client: Client) -> str:
    """Return the number of a paid order of the reader."""
    client.force_login(shop.buyer)
    outcome = shop.buy(voucher_code=shop.code(shop.voucher(60_000)))
    assert outcome.order_number
    return outcome.order_number


def page(client: Client, address: str, status: int) -> str:
    response = client.get(address)
    assert response.status_code == status
    return str(response.content.decode()).replace("&#x27;", "'")


@pytest.mark.parametrize(
    ("selector", "said", "denied"),
    [
        ("get_balance", "We couldn't load your balance. Nothing was taken from it by this.", "Posted"),
        ("panels_of", "We couldn't load your plan. It goes on as it is.", "No plan yet."),
        ("list_orders", "We couldn't load your orders. None of them is lost.", 'id="orders"'),
        ("list_entries", "We couldn't load the credit ledger. Nothing in it is lost.", "No credit yet"),
    ],
)
def test_one_panel_of_the_billing_page(
    shop: Shop, client: Client, bought: str, break_down: Break, selector: str, said: str, denied: str
) -> None:
    texts = {
        "get_balance": "Held for open orders",
        "panels_of": "Current period",
        "list_orders": 'id="orders"',
        "list_entries": 'id="entries"',
    }
    whole = page(client, BILLING, 200)
    break_down(f"billing.views.console.{selector}")

    html = page(client, BILLING, 503)

    shown = [name for name, text in texts.items() if text in html]
    assert [name for name, text in texts.items() if text in whole] == list(texts)
    assert shown == [name for name in texts if name != selector]
    assert html.count(said) == html.count("Try again") == html.count("Reference for support:") == 1
    assert f'href="{BILLING}"' in html
    assert denied not in html


def test_the_list_of_invoices(client: Client, bought: str, break_down: Break) -> None:
    break_down("billing.views.invoices.list_invoices")

    html = page(client, INVOICES, 503)

    assert "We couldn't load your invoices. None of them is lost." in html
    assert "No invoices yet" not in html
    assert f'href="{BILLING}"' in html


def test_applications_without_what_is_said_of_updates(shop: Shop, client: Client, break_down: Break) -> None:
    client.force_login(shop.buyer)
    application(shop, "wordpress")
    break_down("billing.views.console._notices")

    html = page(client, APPS, 503)

    assert "We couldn't find out whether there are updates. Your applications are not affected." in html
    assert 'data-status="ready"' in html


def test_applications_that_cannot_be_read(shop: Shop, client: Client, break_down: Break) -> None:
    client.force_login(shop.buyer)
    break_down("billing.views.console._applications")

    html = page(client, APPS, 503)

    assert "We couldn't load this. Your applications are not affected." in html
    assert "Reference for support:" in html
    assert "No applications yet" not in html
