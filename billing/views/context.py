"""What every page shows of the shopper's selection."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from billing.views.carts import read_cart


def cart(request: HttpRequest) -> dict[str, Any]:
    """Give templates ``cart_count``; the Cart is read only by a page that shows the number."""
    return {"cart_count": SimpleLazyObject(lambda: len(read_cart(request).blueprints))}
