"""POST …/checkouts/: what a customer buys, and what is answered when nothing is sold."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from billing.models import Order
from tenancy.models import Membership
from tests.billing.api.calls import SELECTION, Calls, omr, refusal
from tests.billing.shop import Shop, books
from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db(transaction=True)

KEY = "order-2026-11-24"


def _voucher_code(shop: Shop, amount_minor: int = 60_000, **terms: Any) -> str:
    return shop.code(shop.voucher(amount_minor, **terms))


def test_sells_at_once_when_credit_covers_it(buyer: Calls, shop_without_processor: Shop) -> None:
    code = _voucher_code(shop_without_processor)

    response = buyer.buy(voucher_code=code)

    assert response.status_code == 201
    body = response.json()
    assert sorted(body) == ["balance", "id", "order", "state"]
    assert body["state"] == "completed"
    assert body["balance"] == {"posted": omr(10_000), "held": omr(0), "available": omr(10_000)}
    order = body["order"]
    assert order["created_at"].endswith("Z")
    assert [line["reference"] for line in order["lines"]] == ["m", "bp-wordpress"]
    assert {name: order[name] for name in ("state", "total", "credit", "charge", "voucher_code")} == {
        "state": "paid",
        "total": omr(50_000),
        "credit": omr(50_000),
        "charge": omr(0),
        "voucher_code": code,
    }
    assert buyer.get(f"orders/{order['number']}/").json() == order
    assert buyer.get(f"checkouts/{body['id']}/").json() == body


def test_stays_within_its_statements(buyer: Calls, shop_without_processor: Shop) -> None:
    code = _voucher_code(shop_without_processor)
    buyer.get("balance/")  # the token's first use is written down

    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert buyer.buy(voucher_code=code).status_code == 201

    assert len([query for query in queries if query["sql"] not in ("BEGIN", "COMMIT")]) <= 25


def test_hands_over_the_card_page_for_the_rest(card_buyer: Calls, shop: Shop) -> None:
    response = card_buyer.buy(voucher_code=_voucher_code(shop, 10_000))

    assert response.status_code == 201
    body = response.json()
    assert sorted(body) == ["id", "order", "session_url", "state"]
    assert body["state"] == "awaiting_payment"
    assert (body["order"]["state"], body["order"]["charge"]) == ("pending_payment", omr(40_000))
    assert shop.standin is not None
    (session,) = shop.standin.sessions(status="open")
    assert (session["url"], session["amount_total"]) == (body["session_url"], 40_000)
    assert session["success_url"].startswith("https://cloud.example.om/checkout/return/?session_id=")
    assert session["cancel_url"] == "https://cloud.example.om/checkout/review/"
    assert card_buyer.get("balance/").json() == {"posted": omr(10_000), "held": omr(10_000), "available": omr(0)}


def test_says_that_an_own_code_was_redeemed_before(buyer: Calls, shop_without_processor: Shop) -> None:
    code = _voucher_code(shop_without_processor, 120_000)
    buyer.post("vouchers/redeem/", {"code": code})

    body = buyer.buy(voucher_code=code).json()

    assert body["state"] == "completed"
    assert body["voucher"] == {"status": "already_redeemed"}
    assert body["balance"]["posted"] == omr(70_000)
    assert "voucher_code" not in body["order"]


def test_needs_an_idempotency_key(buyer: Calls, shop_without_processor: Shop) -> None:
    before = books(shop_without_processor)

    assert refusal(buyer.post("checkouts/", SELECTION)) == (400, "idempotency_key_required")
    assert refusal(buyer.buy("short")) == (400, "idempotency_key_required")
    assert books(shop_without_processor) == before


def test_repeats_the_answer_for_the_same_key(buyer: Calls, shop_without_processor: Shop) -> None:
    code = _voucher_code(shop_without_processor)

    first = buyer.buy(KEY, voucher_code=code)
    second = buyer.buy(KEY, voucher_code=code)

    assert (second.status_code, second.json()) == (first.status_code, first.json())
    assert Order.objects.count() == 1


def test_repeats_the_same_card_page_for_the_same_key(card_buyer: Calls, shop: Shop) -> None:
    first = card_buyer.buy(KEY)
    second = card_buyer.buy(KEY)

    assert (second.status_code, second.json()) == (first.status_code, first.json())
    assert shop.standin is not None
    assert len(shop.standin.sessions()) == 1


def test_refuses_a_key_that_was_used_for_another_body(buyer: Calls, shop_without_processor: Shop) -> None:
    buyer.buy(KEY, voucher_code=_voucher_code(shop_without_processor))
    before = books(shop_without_processor)

    assert refusal(buyer.buy(KEY, environment="dev")) == (422, "idempotency_key_reused")
    assert books(shop_without_processor) == before


def test_a_key_belongs_to_its_organization(
    buyer: Calls, shop_without_processor: Shop, api_as: Callable[..., APIClient]
) -> None:
    shop = shop_without_processor
    _organization, user = shop.customer("globex")
    mine = buyer.buy(KEY, voucher_code=_voucher_code(shop)).json()

    theirs = Calls(api_as(user), "globex").buy(KEY, voucher_code=_voucher_code(shop)).json()

    assert theirs["order"]["number"] != mine["order"]["number"]


def test_refuses_the_card_without_a_processor(buyer: Calls, shop_without_processor: Shop) -> None:
    voucher = shop_without_processor.voucher(10_000)
    before = books(shop_without_processor, voucher)

    response = buyer.buy(voucher_code=shop_without_processor.code(voucher))

    assert refusal(response) == (503, "payment_processor_not_configured")
    assert books(shop_without_processor, voucher) == before


def test_answers_a_changed_quote_with_the_new_one(buyer: Calls, shop_without_processor: Shop) -> None:
    old = buyer.quote().json()["quote"]
    buyer.post("vouchers/redeem/", {"code": _voucher_code(shop_without_processor)})
    before = books(shop_without_processor)

    response = buyer.buy(quote=old)

    assert refusal(response) == (409, "quote_changed")
    assert response.json()["quote"] == buyer.quote().json()
    assert books(shop_without_processor) == before
    assert buyer.buy(quote=response.json()["quote"]["quote"]).status_code == 201


def test_sells_one_subscription_per_environment(buyer: Calls, shop_without_processor: Shop) -> None:
    code = _voucher_code(shop_without_processor, 200_000)
    buyer.buy(voucher_code=code)

    assert refusal(buyer.buy()) == (409, "subscription_exists")
    assert buyer.buy(environment="dev").status_code == 201
    assert refusal(buyer.buy(environment="qa")) == (400, "invalid_request")


def test_cancels_an_open_checkout(card_buyer: Calls, shop: Shop) -> None:
    opened = card_buyer.buy(voucher_code=_voucher_code(shop, 10_000)).json()

    response = card_buyer.post(f"checkouts/{opened['id']}/cancel/")

    assert response.status_code == 200
    assert (response.json()["state"], response.json()["order"]["state"]) == ("lapsed", "cancelled")
    assert shop.standin is not None
    assert shop.standin.sessions(status="open") == []
    assert card_buyer.get("balance/").json()["available"] == omr(10_000)


def test_does_not_cancel_what_is_paid(buyer: Calls, shop_without_processor: Shop) -> None:
    sold = buyer.buy(voucher_code=_voucher_code(shop_without_processor)).json()
    before = books(shop_without_processor)

    response = buyer.post(f"checkouts/{sold['id']}/cancel/")

    assert refusal(response) == (409, "already_paid")
    assert response.json()["order"] == sold["order"]["number"]
    assert books(shop_without_processor) == before


def test_a_viewer_sees_and_may_not_buy(card_buyer: Calls, shop: Shop, api_as: Callable[..., APIClient]) -> None:
    viewer = MembershipFactory.create(organization=shop.organization, role=Membership.Role.VIEWER).user
    calls = Calls(api_as(viewer), "acme")
    opened = card_buyer.buy().json()
    before = books(shop)

    assert refusal(calls.buy()) == (403, "permission_denied")
    assert refusal(calls.quote()) == (403, "permission_denied")
    assert refusal(calls.post(f"checkouts/{opened['id']}/cancel/")) == (403, "permission_denied")
    seen = calls.get(f"checkouts/{opened['id']}/").json()
    assert (seen["state"], "session_url" in seen) == ("awaiting_payment", False)
    assert books(shop) == before


def test_a_token_for_another_environment_does_not_buy(
    shop_without_processor: Shop, api_as: Callable[..., APIClient]
) -> None:
    calls = Calls(api_as(shop_without_processor.buyer, env_type="dev"), "acme")
    before = books(shop_without_processor)

    assert refusal(calls.buy()) == (404, "not_found")
    assert books(shop_without_processor) == before


def test_refuses_in_order(buyer: Calls, api: APIClient, api_as: Callable[..., APIClient], stranger: Any) -> None:
    """Not signed in, then not yours, then malformed."""
    broken: dict[str, Any] = {"data": b"{", "content_type": "application/json"}

    assert refusal(api.post(buyer.url("checkouts/"), **broken)) == (401, "not_authenticated")
    assert refusal(api_as(stranger).post(buyer.url("checkouts/"), **broken)) == (404, "not_found")
    assert refusal(buyer.http.post(buyer.url("checkouts/"), **broken)) == (400, "invalid_request")
