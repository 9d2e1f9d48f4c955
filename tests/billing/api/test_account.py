"""Balance, ledger, orders, subscription, and the wallet redemption of one Organization."""

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from billing.models import Account
from tenancy.models import Membership, User
from tests.billing.api.calls import Calls, omr, refusal
from tests.billing.shop import Shop, books
from tests.factories import MembershipFactory, OrganizationFactory

pytestmark = pytest.mark.django_db(transaction=True)

PATHS = (
    "balance/",
    "ledger/",
    "orders/",
    "orders/{number}/",
    "subscription/",
    "checkouts/{id}/",
)


def test_an_organization_without_an_account_has_nothing(shop_without_processor: Shop, api_as: Any) -> None:
    user = MembershipFactory.create(
        organization=OrganizationFactory.create(slug="initech"), role=Membership.Role.ADMIN
    ).user

    calls = Calls(api_as(user), "initech")

    assert calls.get("balance/").json() == {"posted": omr(0), "held": omr(0), "available": omr(0)}
    assert calls.get("ledger/").json() == {"next": None, "previous": None, "results": []}
    assert refusal(calls.get("subscription/")) == (404, "not_found")
    assert not Account.objects.filter(organization__slug="initech").exists()


def test_redeems_to_the_balance(buyer: Calls, shop_without_processor: Shop) -> None:
    code = shop_without_processor.code(shop_without_processor.voucher(7_500))

    response = buyer.post("vouchers/redeem/", {"code": code.lower()})

    assert response.status_code == 201
    entry = response.json()
    assert {name: entry[name] for name in ("seq", "amount", "balance_after", "kind", "voucher_code")} == {
        "seq": 1,
        "amount": omr(7_500),
        "balance_after": omr(7_500),
        "kind": "voucher_grant",
        "voucher_code": code,
    }
    assert buyer.get("ledger/").json()["results"] == [entry]


def test_redeems_a_code_once(buyer: Calls, shop_without_processor: Shop) -> None:
    voucher = shop_without_processor.voucher()
    code = shop_without_processor.code(voucher)
    buyer.post("vouchers/redeem/", {"code": code})
    before = books(shop_without_processor, voucher)

    assert refusal(buyer.post("vouchers/redeem/", {"code": code})) == (409, "voucher_already_redeemed")
    assert refusal(buyer.post("vouchers/redeem/", {"code": "NOSUCHCODE"})) == (404, "voucher_not_found")
    assert refusal(buyer.post("vouchers/redeem/", {"code": ""})) == (400, "invalid_request")
    assert books(shop_without_processor, voucher) == before


def test_lists_the_ledger_newest_first(buyer: Calls, shop_without_processor: Shop) -> None:
    code = shop_without_processor.code(shop_without_processor.voucher(60_000))
    number = buyer.buy(voucher_code=code).json()["order"]["number"]

    first = buyer.get("ledger/?page_size=1").json()
    second = buyer.http.get(first["next"]).json()

    (spend,), (grant,) = first["results"], second["results"]
    assert (spend["kind"], spend["order"], spend["amount"]) == ("order_spend", number, omr(-50_000))
    assert (grant["kind"], grant["voucher_code"], grant["balance_after"]) == ("voucher_grant", code, omr(60_000))
    assert "voucher_code" not in spend
    assert second["next"] is None


def test_lists_orders_newest_first(buyer: Calls, shop_without_processor: Shop) -> None:
    code = shop_without_processor.code(shop_without_processor.voucher(150_000))
    first = buyer.buy(voucher_code=code).json()["order"]
    second = buyer.buy(environment="dev").json()["order"]

    assert buyer.get("orders/").json()["results"] == [second, first]
    assert refusal(buyer.get("orders/OMN-2026-999999/")) == (404, "not_found")


def test_shows_the_subscription_of_an_environment(buyer: Calls, shop_without_processor: Shop) -> None:
    code = shop_without_processor.code(shop_without_processor.voucher(60_000))
    order = buyer.buy(voucher_code=code, environment="dev").json()["order"]

    body = buyer.get("subscription/?environment=dev").json()

    assert body.pop("period_start") < body.pop("period_end")
    assert body == {
        "environment": "dev",
        "plan": "m",
        "state": "active",
        "collection": "credit",
        "monthly": omr(50_000),
        "order": order["number"],
        "items": [
            {"kind": "plan", "reference": "m", "title": "M", "quantity": 1, "unit": omr(50_000)},
            {"kind": "blueprint", "reference": "bp-wordpress", "title": "WordPress", "quantity": 1, "unit": omr(0)},
        ],
        "cancel_at_period_end": False,
        "grace_ends_at": None,
        "change": None,
    }
    assert refusal(buyer.get("subscription/")) == (404, "not_found")


@pytest.mark.parametrize("path", PATHS)
def test_a_stranger_sees_what_a_missing_object_shows(
    path: str, buyer: Calls, shop_without_processor: Shop, stranger: User, api_as: Callable[..., APIClient]
) -> None:
    sold = buyer.buy(voucher_code=shop_without_processor.code(shop_without_processor.voucher(60_000))).json()
    filled = path.format(number=sold["order"]["number"], id=sold["id"])
    own, foreign = Calls(api_as(stranger), "globex"), Calls(api_as(stranger), "acme")

    assert buyer.get(filled).status_code == 200
    assert refusal(foreign.get(filled)) == (404, "not_found")
    if "{" in path:
        missing = path.format(number="OMN-2026-999999", id="00000000-0000-4000-8000-000000000000")
        assert own.get(filled).content == own.get(missing).content
        assert own.get(filled).status_code == 404


def test_a_stranger_changes_nothing(
    buyer: Calls, shop_without_processor: Shop, stranger: User, api_as: Callable[..., APIClient]
) -> None:
    voucher = shop_without_processor.voucher(60_000)
    code = shop_without_processor.code(voucher)
    foreign = Calls(api_as(stranger), "acme")
    before = books(shop_without_processor, voucher)

    assert refusal(foreign.quote(voucher_code=code)) == (404, "not_found")
    assert refusal(foreign.buy(voucher_code=code)) == (404, "not_found")
    assert refusal(foreign.post("vouchers/redeem/", {"code": code})) == (404, "not_found")
    assert books(shop_without_processor, voucher) == before


def test_a_viewer_reads_and_does_not_redeem(shop_without_processor: Shop, api_as: Callable[..., APIClient]) -> None:
    voucher = shop_without_processor.voucher()
    viewer = MembershipFactory.create(
        organization=shop_without_processor.organization, role=Membership.Role.VIEWER
    ).user
    calls = Calls(api_as(viewer), "acme")
    before = books(shop_without_processor, voucher)

    response = calls.post("vouchers/redeem/", {"code": shop_without_processor.code(voucher)})

    assert refusal(response) == (403, "permission_denied")
    assert calls.get("balance/").status_code == 200
    assert books(shop_without_processor, voucher) == before


def test_a_developer_does_not_see_money(shop_without_processor: Shop, api_as: Callable[..., APIClient]) -> None:
    developer = MembershipFactory.create(organization=shop_without_processor.organization, role="org-developer").user

    assert refusal(Calls(api_as(developer), "acme").get("balance/")) == (403, "permission_denied")
