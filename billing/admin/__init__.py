"""The staff's pages about money: everything may be looked at, only Vouchers and processor keys are ever entered."""

from billing.admin.account import AccountAdmin, LedgerEntryAdmin
from billing.admin.events import StripeEventAdmin
from billing.admin.orders import CheckoutAdmin, OrderAdmin
from billing.admin.settings import BillingSettingsAdmin
from billing.admin.vouchers import VoucherAdmin

__all__ = [
    "AccountAdmin",
    "BillingSettingsAdmin",
    "CheckoutAdmin",
    "LedgerEntryAdmin",
    "OrderAdmin",
    "StripeEventAdmin",
    "VoucherAdmin",
]
