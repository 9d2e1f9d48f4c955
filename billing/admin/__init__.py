"""The staff's pages about money: everything may be looked at, only Vouchers and processor keys are ever entered."""

from billing.admin.account import AccountAdmin, LedgerEntryAdmin
from billing.admin.disputes import DisputeAdmin
from billing.admin.events import StripeEventAdmin
from billing.admin.grants import CreditGrantAdmin, RedemptionAdmin
from billing.admin.invoices import CreditNoteAdmin, InvoiceAdmin
from billing.admin.orders import CheckoutAdmin, OrderAdmin
from billing.admin.reports import SubscriptionAdmin
from billing.admin.settings import BillingSettingsAdmin
from billing.admin.voucher_batches import VoucherBatchAdmin
from billing.admin.vouchers import VoucherAdmin

__all__ = [
    "AccountAdmin",
    "BillingSettingsAdmin",
    "CheckoutAdmin",
    "CreditGrantAdmin",
    "CreditNoteAdmin",
    "DisputeAdmin",
    "InvoiceAdmin",
    "LedgerEntryAdmin",
    "OrderAdmin",
    "RedemptionAdmin",
    "StripeEventAdmin",
    "SubscriptionAdmin",
    "VoucherAdmin",
    "VoucherBatchAdmin",
]
