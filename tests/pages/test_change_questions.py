"""A change that adds an Application asks what it requires on the page that confirms the change."""

from typing import Any

import pytest
from django.test import Client

from billing.models import SubscriptionChange
from marketplace.models import BlueprintVersion
from tests.billing.changing import stock, untouched
from tests.billing.shop import Shop
from tests.pages.test_console import page

pytestmark = pytest.mark.django_db(transaction=True)

CHANGE = "/console/acme/billing/prod/change/"
TITLE = "config.bp-bookstack.title"
ADDED = {"add": "bp-bookstack"}


@pytest.fixture
def asking(shop_without_processor: Shop, client: Client) -> Shop:
    """Let BookStack ask for a title, and sign in somebody with a live subscription."""
    shop = shop_without_processor
    stock(shop)
    old = BlueprintVersion.objects.get(blueprint__slug="bookstack")
    node = {"type": "string", "maxLength": 10, "title": "Title"}
    schema: dict[str, Any] = {"type": "object", "required": ["title"], "properties": {"title": node}}
    contract = {"spec": {**old.contract["spec"], "configSchema": schema}}
    BlueprintVersion.objects.create(
        blueprint=old.blueprint,
        version="1.1.0",
        major=1,
        minor=1,
        patch=0,
        digest=f"sha256:{'a' * 64}",
        contract=contract,
        files={},
    )
    shop.buy(voucher_code=shop.code(shop.voucher(200_000)))
    client.force_login(shop.buyer)
    return shop


def test_the_question_stands_on_the_review(asking: Shop, client: Client) -> None:
    html = page(client, f"{CHANGE}?add=bp-bookstack&review=1")

    assert html.count(f'name="{TITLE}"') == 1
    assert "There is a problem" not in html


@pytest.mark.parametrize(
    ("typed", "said"), [("", "Fill this in."), ("A title too long", "Write at most 10 characters.")]
)
def test_an_answer_that_does_not_fit_changes_nothing(asking: Shop, client: Client, typed: str, said: str) -> None:
    before = untouched(asking)

    response = client.post(CHANGE, {**ADDED, TITLE: typed, "key": "change-2026-11-24"})

    html = response.content.decode()
    assert response.status_code == 422
    assert f'<a href="#id_{TITLE}">Title: {said}</a>' in html
    assert untouched(asking) == before


def test_the_answer_goes_with_the_change(asking: Shop, client: Client) -> None:
    response = client.post(CHANGE, {**ADDED, TITLE: "Manuals", "key": "change-2026-11-24"})

    assert response.status_code == 303
    assert SubscriptionChange.objects.get().config == {"bp-bookstack": {"title": "Manuals"}}
