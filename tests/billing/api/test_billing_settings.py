"""GET and PATCH /api/v1/settings/billing/: only what is sent changes, and no secret comes back."""

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from billing.models import BillingSettings
from tenancy.models import AuditEntry, User
from tests.billing.api.calls import Calls, refusal
from tests.billing.shop import Shop
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)

URL = "/api/v1/settings/billing/"
SECRET, WEBHOOK, PUBLIC = "sk_test_0123456789", "whsec_abcdefgh", "pk_test_wxyz"
NOTHING = {"configured": False, "last4": ""}
NO_SELLER = dict.fromkeys(("seller_name", "seller_name_ar", "seller_address", "seller_vatin"))


def _patch(client: APIClient, **changes: Any) -> Any:
    return client.patch(URL, changes, format="json")


def test_starts_with_nothing(staff: APIClient) -> None:
    assert staff.get(URL).json() == {
        "stripe_secret_key": NOTHING,
        "stripe_webhook_secret": NOTHING,
        "stripe_publishable_key": None,
        **NO_SELLER,
    }


def test_changes_only_what_is_sent(staff: APIClient) -> None:
    _patch(staff, stripe_secret_key=SECRET, stripe_webhook_secret=WEBHOOK)

    response = _patch(staff, stripe_publishable_key=PUBLIC)

    assert response.status_code == 200
    assert (
        response.json()
        == staff.get(URL).json()
        == {
            "stripe_secret_key": {"configured": True, "last4": "6789"},
            "stripe_webhook_secret": {"configured": True, "last4": "efgh"},
            "stripe_publishable_key": PUBLIC,
            **NO_SELLER,
        }
    )
    assert SECRET not in repr(BillingSettings.objects.values().get())


def test_null_clears(staff: APIClient) -> None:
    _patch(staff, stripe_secret_key=SECRET, stripe_webhook_secret=WEBHOOK)

    body = _patch(staff, stripe_secret_key=None).json()

    assert body["stripe_secret_key"] == NOTHING
    assert body["stripe_webhook_secret"]["last4"] == "efgh"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"stripe_secret_key": ""}, (400, "invalid_request")),
        ({"stripe_secret_key": "  "}, (400, "invalid_request")),
        ({"stripe_webhook_secret": WEBHOOK, "currency": "OMR"}, (400, "invalid_request")),
        ({"stripe_secret_key": PUBLIC}, (422, "billing_settings_invalid")),
        ({"stripe_publishable_key": "pk_test_new", "stripe_webhook_secret": "sk_x"}, (422, "billing_settings_invalid")),
    ],
)
def test_refuses_as_a_whole(changes: dict[str, Any], expected: tuple[int, str], staff: APIClient) -> None:
    _patch(staff, stripe_secret_key=SECRET, stripe_webhook_secret=WEBHOOK, stripe_publishable_key=PUBLIC)
    before = BillingSettings.objects.values().get()

    response = _patch(staff, **changes)

    assert refusal(response) == expected
    assert SECRET.encode() not in response.content
    assert BillingSettings.objects.values().get() == before


def test_an_empty_change_writes_nothing(staff: APIClient) -> None:
    before = AuditEntry.objects.count()

    assert _patch(staff).status_code == 200
    assert (BillingSettings.objects.count(), AuditEntry.objects.count()) == (0, before)


def test_is_for_the_sovereigns_administrators(
    shop_without_processor: Shop, buyer: Calls, api_as: Callable[..., APIClient], api: APIClient
) -> None:
    support = api_as(UserFactory.create(staff_role=User.StaffRole.SUPPORT, staff_groups=["finance"]))

    for client in (support, buyer.http):
        assert refusal(client.get(URL)) == (403, "permission_denied")
        assert refusal(_patch(client, stripe_secret_key=SECRET)) == (403, "permission_denied")
    assert refusal(api.get(URL)) == (401, "not_authenticated")
    assert BillingSettings.objects.count() == 0
