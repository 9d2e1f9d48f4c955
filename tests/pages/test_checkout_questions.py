"""Step 3 of the wizard asks what the chosen Applications require and keeps the answers; nothing is sold without."""

from typing import Any

import pytest
from django.test import Client

from billing.models import Cart, Order
from catalyst.core.models import Outbox
from marketplace.models import BlueprintVersion
from tests.billing.shop import Shop, books
from tests.factories import BlueprintVersionFactory
from tests.pages.test_checkout_wizard import REVIEW, fill, page, pay

pytestmark = pytest.mark.django_db(transaction=True)

DETAILS = "/checkout/addons/"
TITLE, LANGUAGE = "config.bp-wordpress.title", "config.bp-wordpress.language"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["adminEmail", "title", "language", "hostname"],
    "properties": {
        "adminEmail": {"type": "string", "format": "email"},
        "title": {"type": "string", "maxLength": 10, "title": "Site title", "x-catalyst-order": 1},
        "language": {
            "type": "string",
            "enum": ["en", "ar"],
            "title": "Language",
            "x-catalyst-i18n": {"ar": {"title": "لغة الموقع", "enum": {"en": "الإنجليزية", "ar": "العربية"}}},
        },
        "hostname": {"type": "string", "x-catalyst-ui-hint": "domain-picker", "title": "Address"},
        "slogan": {"type": "string", "title": "Slogan"},
    },
}


@pytest.fixture
def asking(shop_without_processor: Shop, client: Client) -> Shop:
    """Let the shop's Application ask for a title and a language, and put it into the buyer's Cart."""
    old = BlueprintVersion.objects.get()
    contract = {"spec": {**old.contract["spec"], "configSchema": SCHEMA}}
    BlueprintVersionFactory.create(
        blueprint=old.blueprint, version="1.1.0", major=1, minor=1, patch=0, contract=contract
    )
    client.force_login(shop_without_processor.buyer)
    fill(client)
    return shop_without_processor


def answer(client: Client, **more: str) -> Any:
    return client.post(DETAILS, {"organization": "acme", **more})


def test_only_what_is_required_is_asked(asking: Shop, client: Client) -> None:
    html = page(client, DETAILS)

    assert [html.count(f'name="{name}"') for name in (TITLE, LANGUAGE, "email")] == [1, 2, 1]
    assert "hostname" not in html
    assert "Slogan" not in html


def test_answers_are_kept_and_shown_again(asking: Shop, client: Client) -> None:
    assert answer(client, **{TITLE: "Dates", LANGUAGE: "ar", "email": "it@example.om"}).status_code == 303

    given = {"title": "Dates", "language": "ar", "adminEmail": "it@example.om"}
    assert Cart.objects.get().config == {"bp-wordpress": given}
    html = page(client, DETAILS)
    assert f'name="{TITLE}" value="Dates"' in html
    assert 'value="ar" checked' in html
    assert 'value="it@example.om"' in html


def test_what_does_not_fit_is_said_at_its_field_and_nothing_is_kept(asking: Shop, client: Client) -> None:
    response = answer(client, **{TITLE: "A title too long"})

    html = response.content.decode()
    assert response.status_code == 422
    assert f'<a href="#id_{TITLE}">Site title: Write at most 10 characters.</a>' in html
    assert f'<a href="#id_{LANGUAGE}">Language: Fill this in.</a>' in html
    assert 'value="A title too long"' in html
    assert Cart.objects.get().config == {}


def test_review_sends_back_to_an_open_question(asking: Shop, client: Client) -> None:
    Cart.objects.update(organization=asking.organization)

    response = client.get(REVIEW)

    assert (response.status_code, response.headers["Location"]) == (303, DETAILS)


def test_an_answer_that_does_not_fit_any_more_is_not_sold(asking: Shop, client: Client) -> None:
    answer(client, **{TITLE: "Dates", LANGUAGE: "ar"})
    client.post("/checkout/voucher/", {"code": asking.code(asking.voucher(60_000))})
    Cart.objects.update(config={"bp-wordpress": {"title": "Dates", "language": "fr"}})

    response = pay(client)

    html = response.content.decode()
    assert response.status_code == 422
    assert "Choose one of these: en, ar." in html
    assert f'href="{DETAILS}"' in html
    assert (books(asking).orders, books(asking).posted) == ([], 0)


def test_the_order_says_what_was_answered(asking: Shop, client: Client) -> None:
    answer(client, **{TITLE: "Dates", LANGUAGE: "ar"})
    client.post("/checkout/voucher/", {"code": asking.code(asking.voucher(60_000))})

    assert pay(client).status_code == 303

    assert Order.objects.get().state == "paid"
    assert Outbox.objects.get(topic="order.paid").payload["config"] == {
        "bp-wordpress": {"title": "Dates", "language": "ar"}
    }


def test_in_arabic(asking: Shop, client: Client) -> None:
    html = page(client, f"/ar{DETAILS}")

    for text in ("لغة الموقع", "الإنجليزية"):
        assert text in html
