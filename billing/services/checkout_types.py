"""What goes into a checkout and what comes out of it."""

import hashlib
import json
import uuid
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from billing.selectors.orders import Receipt
from billing.services.change_pricing import Proposal
from billing.services.split import Split
from catalyst.core.errors import DomainError
from marketplace.selectors.selection import PricedLine
from tenancy.models import Organization, Sovereign, User


class CheckoutInProgress(DomainError):
    code = "checkout_in_progress"
    status = HTTPStatus.CONFLICT


class AlreadyPaid(DomainError):
    code = "already_paid"
    status = HTTPStatus.CONFLICT


class SubscriptionExists(DomainError):
    code = "subscription_exists"
    status = HTTPStatus.CONFLICT


class QuoteChanged(DomainError):
    """The accepted quote is not what would be charged now; ``extra["quote"]`` is the new one."""

    code = "quote_changed"
    status = HTTPStatus.CONFLICT


class VoucherBusy(DomainError):
    code = "voucher_busy"
    status = HTTPStatus.CONFLICT


@dataclass(frozen=True, slots=True)
class Selection:
    """What a customer chose: ``blueprints`` by name (``bp-…``), the rest by slug."""

    plan: str
    blueprints: tuple[str, ...] = ()
    addons: tuple[str, ...] = ()
    bundle: str = ""
    config: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReturnAddresses:
    """Where the card page sends the shopper back to; ``success`` is opened after paying, ``cancel`` otherwise."""

    success: str
    cancel: str


@dataclass(frozen=True, slots=True)
class CheckoutRequest:
    """One command "buy this". ``scope`` and ``key`` make it repeatable, ``accepted_quote`` is a hash or empty."""

    organization: Organization
    sovereign: Sovereign
    buyer: User
    selection: Selection
    voucher_code: str
    env_type: str
    accepted_quote: str
    cart_id: uuid.UUID
    key: str
    fingerprint: bytes
    returns: ReturnAddresses
    address: str = ""
    #: Set when this sells a change of a live subscription instead of a first purchase.
    change: Proposal | None = None
    #: The change preview that is bought, by its id; empty for any other purchase.
    preview: str = ""

    @property
    def actor(self) -> str:
        """Return the buyer as histories name people: by id, never by address."""
        return f"user:{self.buyer.uuid}"

    @property
    def scope(self) -> str:
        return f"organization:{self.organization.pk}:user:{self.buyer.pk}"


@dataclass(frozen=True, slots=True)
class Quote:
    """Frozen priced lines with their split; never recomputed once accepted. ``voucher_status`` is empty,
    ``applied`` or ``already_redeemed``."""

    lines: tuple[PricedLine, ...]
    currency: str
    total_minor: int
    split: Split
    monthly_minor: int
    voucher_status: str = ""
    voucher_grant_minor: int = 0

    @property
    def hash(self) -> str:
        """Return SHA-256 (hex) over lines and amounts.

        Whether the credit comes from a fresh voucher or from one redeemed a minute ago is not part of it: the customer
        accepts what is paid and how.
        """
        shown = [
            [[line.kind, line.reference, line.quantity, line.unit_minor] for line in self.lines],
            [self.currency, self.total_minor, self.split.credit_minor, self.split.charge_minor, self.monthly_minor],
        ]
        return hashlib.sha256(json.dumps(shown, separators=(",", ":")).encode()).hexdigest()

    def as_json(self) -> dict[str, Any]:
        """Return the quote as the API shows it."""
        quote: dict[str, Any] = {
            "quote": self.hash,
            "lines": [
                {
                    "kind": line.kind,
                    "reference": line.reference,
                    "title": line.title_en,
                    "quantity": line.quantity,
                    "unit": self._money(line.unit_minor),
                    "total": self._money(line.amount_minor()),
                }
                for line in self.lines
            ],
            "total": self._money(self.total_minor),
            "credit": self._money(self.split.credit_minor),
            "charge": self._money(self.split.charge_minor),
            "then_monthly": self._money(self.monthly_minor),
        }
        if self.voucher_status:
            quote["voucher"] = {"status": self.voucher_status, "credit": self._money(self.voucher_grant_minor)}
        return quote

    def _money(self, amount_minor: int) -> dict[str, Any]:
        return {"amount": amount_minor, "currency": self.currency}


@dataclass(frozen=True, slots=True)
class CheckoutOutcome:
    """Where a checkout stands for its shopper. ``repeated`` tells that an earlier, equal command did it,
    ``receipt`` is what a sale of this very call wrote."""

    checkout_id: uuid.UUID
    state: str
    order_number: str
    session_url: str = ""
    balance_minor: int = 0
    held_minor: int = 0
    currency: str = ""
    voucher_status: str = ""
    repeated: bool = False
    receipt: Receipt | None = None
