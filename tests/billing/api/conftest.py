"""What the money endpoints are called with."""

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from tests.billing.api.calls import Calls
from tests.billing.shop import Shop


@pytest.fixture(autouse=True)
def _public_url(settings: Any) -> None:
    settings.PUBLIC_URL = "https://cloud.example.om"
    settings.TRUSTED_PROXY_COUNT = 0


@pytest.fixture
def buyer(shop_without_processor: Shop, api_as: Callable[..., APIClient]) -> Calls:
    """The administrator of ``acme`` in a shop without a card processor."""
    return Calls(api_as(shop_without_processor.buyer), "acme")


@pytest.fixture
def card_buyer(shop: Shop, api_as: Callable[..., APIClient]) -> Calls:
    """The administrator of ``acme`` in a shop that takes cards."""
    return Calls(api_as(shop.buyer), "acme")


@pytest.fixture
def staff(shop_without_processor: Shop, api_as: Callable[..., APIClient]) -> APIClient:
    """A sovereign administrator."""
    return api_as(shop_without_processor.staff)
