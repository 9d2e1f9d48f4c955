"""The shop of the money tests, for the pages that sell."""

from tests.billing.conftest import shop, shop_without_processor

__all__ = ["shop", "shop_without_processor"]
