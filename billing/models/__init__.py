"""Money: accounts, ledger, vouchers, checkouts, orders, subscriptions, invoices, the processor's side, carts."""

from billing.models.account import Account, CreditHold, LedgerEntry
from billing.models.cart import Cart
from billing.models.checkout import Checkout, CheckoutEvent, CheckoutTransition
from billing.models.grant import CreditGrant
from billing.models.invoice import BillingDetails, CreditNote, Document, DocumentCounter, Invoice
from billing.models.order import Order, OrderLine
from billing.models.psp import BillingSettings, Dispute, PspCall, StripeEvent
from billing.models.subscription import (
    Subscription,
    SubscriptionChange,
    SubscriptionEvent,
    SubscriptionTransition,
)
from billing.models.summary import BillingSummary
from billing.models.voucher import CodeAttempt, Redemption, Voucher, VoucherBatch

__all__ = [
    "Account",
    "BillingDetails",
    "BillingSettings",
    "BillingSummary",
    "Cart",
    "Checkout",
    "CheckoutEvent",
    "CheckoutTransition",
    "CodeAttempt",
    "CreditGrant",
    "CreditHold",
    "CreditNote",
    "Dispute",
    "Document",
    "DocumentCounter",
    "Invoice",
    "LedgerEntry",
    "Order",
    "OrderLine",
    "PspCall",
    "Redemption",
    "StripeEvent",
    "Subscription",
    "SubscriptionChange",
    "SubscriptionEvent",
    "SubscriptionTransition",
    "Voucher",
    "VoucherBatch",
]
