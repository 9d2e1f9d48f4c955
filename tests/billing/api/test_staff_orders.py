"""GET /api/v1/orders/: the orders of every Organization, for the Sovereign's staff."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from tenancy.models import User
from tests.billing.api.calls import Calls, refusal
from tests.billing.shop import Shop
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)

URL = "/api/v1/orders/"


def _sell(shop: Shop, count: int) -> None:
    for number in range(count):
        organization, user = shop.customer(f"customer-{number}")
        shop.buy(organization=organization, buyer=user, voucher_code=shop.code(shop.voucher(60_000)))


def test_lists_the_orders_of_everybody(
    shop_without_processor: Shop, buyer: Calls, api_as: Callable[..., APIClient]
) -> None:
    _sell(shop_without_processor, 2)
    support = api_as(UserFactory.create(staff_role=User.StaffRole.SUPPORT))

    rows = support.get(URL).json()["results"]

    assert [row["organization"] for row in rows] == ["customer-1", "customer-0"]
    assert rows[0]["state"] == "paid"
    assert len(rows[0]["lines"]) == 2
    assert refusal(buyer.http.get(URL)) == (403, "permission_denied")


def test_reads_a_page_with_a_fixed_number_of_statements(shop_without_processor: Shop, staff: APIClient) -> None:
    _sell(shop_without_processor, 3)
    staff.get(URL)

    with CaptureQueriesContext(connection) as queries:
        staff.get(URL)

    assert len(queries) <= 4
