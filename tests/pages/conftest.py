"""The shop of the money tests, for the pages that sell."""

from tests.billing.conftest import one_window, shop, shop_without_processor

__all__ = ["one_window", "shop", "shop_without_processor"]
