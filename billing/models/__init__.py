"""Money: accounts, the credit ledger, vouchers, checkouts, orders, the processor's side, carts."""

from billing.models.account import Account, CreditHold, LedgerEntry
from billing.models.cart import Cart
from billing.models.checkout import Checkout, CheckoutEvent, CheckoutTransition
from billing.models.invoice import CreditNote, DocumentCounter, Invoice
from billing.models.order import Order, OrderLine
from billing.models.psp import BillingSettings, PspCall, StripeEvent
from billing.models.subscription import Subscription
from billing.models.voucher import CodeAttempt, Redemption, Voucher

__all__ = [
    "Account",
    "BillingSettings",
    "Cart",
    "Checkout",
    "CheckoutEvent",
    "CheckoutTransition",
    "CodeAttempt",
    "CreditHold",
    "CreditNote",
    "DocumentCounter",
    "Invoice",
    "LedgerEntry",
    "Order",
    "OrderLine",
    "PspCall",
    "Redemption",
    "StripeEvent",
    "Subscription",
    "Voucher",
]
