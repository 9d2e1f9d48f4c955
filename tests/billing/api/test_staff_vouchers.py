"""The Vouchers of the Sovereign's staff: issue, list, look at, revoke."""

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from billing.models import Voucher
from tenancy.models import User
from tests.billing.api.calls import Calls, omr, refusal
from tests.billing.shop import Shop
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)

URL = "/api/v1/vouchers/"
TERMS = {"credit": omr(5_000), "description": "Launch"}


def _issue(client: APIClient, **terms: Any) -> Any:
    return client.post(URL, {**TERMS, **terms}, format="json")


def test_issues_a_generated_code_that_works(staff: APIClient, buyer: Calls) -> None:
    response = _issue(staff)

    assert response.status_code == 201
    body = response.json()
    assert len(body["code"].replace("-", "")) == 17
    assert (body["credit"], body["max_redemptions"], body["per_organization_limit"]) == (omr(5_000), None, 1)
    assert (body["accepting_redemptions"], body["times_redeemed"], body["revoked_at"]) == (True, 0, None)
    assert buyer.post("vouchers/redeem/", {"code": body["code"]}).status_code == 201


def test_issues_a_chosen_code_once_for_ever(staff: APIClient) -> None:
    assert _issue(staff, code="LAUNCH-2026", max_redemptions=100).json()["code"] == "LAUNCH-2026"

    assert refusal(_issue(staff, code="launch2026")) == (409, "voucher_code_taken")
    assert staff.delete(f"{URL}LAUNCH-2026/").status_code == 204
    assert refusal(_issue(staff, code="LAUNCH-2026")) == (409, "voucher_code_taken")
    assert Voucher.objects.count() == 1


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ({"credit": {"amount": 0, "currency": "OMR"}}, (400, "invalid_request")),
        ({"credit": {"amount": -5, "currency": "OMR"}}, (400, "invalid_request")),
        ({"credit": {"amount": 1.5, "currency": "OMR"}}, (400, "invalid_request")),
        ({"credit": {"amount": True, "currency": "OMR"}}, (400, "invalid_request")),
        ({"credit": 5000}, (400, "invalid_request")),
        ({"credit": {"amount": 5000, "currency": "OMR", "extra": 1}}, (400, "invalid_request")),
        ({"credit": {"amount": 5000, "currency": "XXX"}}, (400, "invalid_request")),
        ({"credit": {"amount": 5000, "currency": "USD"}}, (422, "voucher_invalid")),
        ({"max_redemptions": 0}, (400, "invalid_request")),
        ({"per_organization_limit": 1001}, (400, "invalid_request")),
        ({"starts_at": "2026-02-01T00:00:00Z", "ends_at": "2026-01-01T00:00:00Z"}, (422, "voucher_invalid")),
        ({"code": "ABC"}, (422, "voucher_invalid")),
        ({"code": "0123456789ABCDEFG"}, (422, "voucher_invalid")),
        ({"times_redeemed": 1}, (400, "invalid_request")),
    ],
)
def test_refuses_terms_that_make_no_sense(terms: dict[str, Any], expected: tuple[int, str], staff: APIClient) -> None:
    assert refusal(_issue(staff, **terms)) == expected
    assert Voucher.objects.count() == 0


def test_shows_who_redeemed(staff: APIClient, buyer: Calls) -> None:
    code = _issue(staff, credit=omr(60_000), max_redemptions=2).json()["code"]
    number = buyer.buy(voucher_code=code).json()["order"]["number"]

    body = staff.get(f"{URL}{code}/").json()

    assert (body["times_redeemed"], body["max_redemptions"]) == (1, 2)
    (redemption,) = body["redemptions"]
    assert redemption.pop("redeemed_at").endswith("Z")
    assert redemption == {"organization": "acme", "state": "redeemed", "order": number}


def test_lists_newest_first(staff: APIClient) -> None:
    codes = [_issue(staff).json()["code"] for _number in range(3)]

    page = staff.get(f"{URL}?page_size=2").json()

    assert [row["code"] for row in page["results"]] == codes[:0:-1]
    assert "redemptions" not in page["results"][0]
    assert [row["code"] for row in staff.get(page["next"]).json()["results"]] == codes[:1]


def test_revokes_for_good(staff: APIClient, buyer: Calls) -> None:
    code = _issue(staff).json()["code"]

    response = staff.delete(f"{URL}{code}/")

    assert (response.status_code, response.content) == (204, b"")
    body = staff.get(f"{URL}{code}/").json()
    assert (body["revoked_at"] is None, body["accepting_redemptions"]) == (False, False)
    assert refusal(buyer.post("vouchers/redeem/", {"code": code})) == (404, "voucher_not_found")
    assert refusal(staff.delete(f"{URL}{code}/")) == (404, "voucher_not_found")
    assert refusal(staff.delete(f"{URL}NOSUCHCODE/")) == (404, "voucher_not_found")
    assert refusal(staff.get(f"{URL}x/")) == (404, "voucher_not_found")


def test_credit_that_was_granted_stays_after_a_revocation(staff: APIClient, buyer: Calls) -> None:
    code = _issue(staff).json()["code"]
    buyer.post("vouchers/redeem/", {"code": code})

    staff.delete(f"{URL}{code}/")

    assert buyer.get("balance/").json()["available"] == omr(5_000)


def test_only_voucher_managers_see_and_issue(
    shop_without_processor: Shop, buyer: Calls, api_as: Callable[..., APIClient], api: APIClient
) -> None:
    support = api_as(UserFactory.create(staff_role=User.StaffRole.SUPPORT))
    finance = api_as(UserFactory.create(staff_role=User.StaffRole.SUPPORT, staff_groups=["finance"]))
    code = shop_without_processor.code(shop_without_processor.voucher())

    for client in (support, buyer.http):
        assert refusal(_issue(client)) == (403, "permission_denied")
        assert refusal(client.get(URL)) == (403, "permission_denied")
        assert refusal(client.delete(f"{URL}{code}/")) == (403, "permission_denied")
    assert refusal(api.get(URL)) == (401, "not_authenticated")
    assert Voucher.objects.filter(revoked_at=None).count() == 1
    assert _issue(finance).status_code == 201
