"""POST …/quotes/: what a selection would cost, with nothing reserved."""

from typing import Any

import pytest

from tests.billing.api.calls import Calls, omr, refusal
from tests.billing.shop import Shop, books
from tests.factories import AddOnFactory, BlueprintFactory, PriceFactory

pytestmark = pytest.mark.django_db(transaction=True)


def test_shows_the_lines_and_the_split(buyer: Calls) -> None:
    response = buyer.quote()

    assert response.status_code == 200
    body = response.json()
    assert len(body.pop("quote")) == 64
    assert body == {
        "lines": [
            {"kind": "plan", "reference": "m", "title": "M", "quantity": 1, "unit": omr(50_000), "total": omr(50_000)},
            {
                "kind": "blueprint",
                "reference": "bp-wordpress",
                "title": "WordPress",
                "quantity": 1,
                "unit": omr(0),
                "total": omr(0),
            },
        ],
        "total": omr(50_000),
        "credit": omr(0),
        "charge": omr(50_000),
        "then_monthly": omr(50_000),
    }


def test_applies_a_voucher_without_reserving_it(buyer: Calls, shop_without_processor: Shop) -> None:
    shop = shop_without_processor
    voucher = shop.voucher(20_005)
    before = books(shop, voucher)

    body = buyer.quote(voucher_code=shop.code(voucher)).json()

    # The card is billed in steps of 10 baisa: 0.005 stays on the balance.
    assert (body["credit"], body["charge"]) == (omr(20_000), omr(30_000))
    assert body["voucher"] == {"status": "applied", "credit": omr(20_005)}
    assert books(shop, voucher) == before


def test_two_selections_have_two_hashes(buyer: Calls, shop_without_processor: Shop) -> None:
    voucher = shop_without_processor.voucher(1_000)

    plain = buyer.quote().json()["quote"]
    again = buyer.quote().json()["quote"]
    with_voucher = buyer.quote(voucher_code=shop_without_processor.code(voucher)).json()["quote"]

    assert plain == again
    assert plain != with_voucher


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"plan": "xxl"}, "/plan"),
        ({"blueprints": ["bp-wordpress", "bp-nothing"]}, "/blueprints/1"),
        ({"blueprints": ["bp-later"]}, "/blueprints/0"),
        ({"addons": ["nothing"]}, "/addons/0"),
        ({"addons": ["unpriced"]}, "/addons/0"),
        ({"bundle": "nothing"}, "/bundle"),
    ],
)
@pytest.mark.parametrize("call", ["quote", "buy"])
def test_refuses_what_cannot_be_bought(
    call: str, changes: dict[str, Any], pointer: str, buyer: Calls, shop_without_processor: Shop
) -> None:
    BlueprintFactory.create(slug="later", state="soon")
    PriceFactory.create(kind="blueprint", reference="bp-later", amount_minor=0)
    AddOnFactory.create(slug="unpriced")
    before = books(shop_without_processor)

    response = getattr(buyer, call)(**changes)

    assert refusal(response) == (422, "line_unavailable")
    assert response.json()["errors"][0]["pointer"] == pointer
    assert books(shop_without_processor) == before


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"plan": ""},
        {"plan": "m", "blueprints": "bp-wordpress"},
        {"plan": "m", "blueprints": [None]},
        {"plan": "m", "addons": ["x" * 49]},
        {"plan": "m", "total": 1},
        {"plan": "m", "blueprints": ["bp-wordpress"] * 101},
        {"plan": "m\u0000"},
    ],
)
def test_refuses_a_body_of_another_shape(body: dict[str, Any], buyer: Calls) -> None:
    assert refusal(buyer.post("quotes/", body)) == (400, "invalid_request")


def test_refuses_an_unknown_and_a_closed_voucher(buyer: Calls, shop_without_processor: Shop) -> None:
    shop = shop_without_processor
    voucher = shop.voucher(max_redemptions=1)
    organization, user = shop.customer("globex")
    shop.buy(organization=organization, buyer=user, voucher_code=shop.code(shop.voucher(60_000)))
    taken = shop.voucher(60_000, max_redemptions=1)
    shop.buy(organization=organization, buyer=user, env_type="dev", voucher_code=shop.code(taken))

    assert refusal(buyer.quote(voucher_code="NOSUCHCODE")) == (404, "voucher_not_found")
    assert refusal(buyer.quote(voucher_code=shop.code(taken))) == (410, "voucher_not_accepting")
    assert buyer.quote(voucher_code=shop.code(voucher)).status_code == 200
