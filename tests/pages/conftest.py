"""The shop of the money tests, for the pages that sell."""

from tests.billing.conftest import one_window, shop, shop_without_processor
from tests.marketplace.conftest import nothing_is_sold

__all__ = ["nothing_is_sold", "one_window", "shop", "shop_without_processor"]
