"""What an Organization's own history means for a code: a free slot, an earlier redemption, or a reason to refuse."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from billing.models import Voucher
from billing.services.checkout_types import VoucherBusy
from billing.services.vouchers import VoucherNotAccepting, closed_reason
from catalyst.core.database import fetch_one

_BUSY_RETRY_SECONDS = 60


@dataclass(frozen=True, slots=True)
class OwnUse:
    """One live redemption of the Organization: it occupies ``slot``; ``reserved`` means not handed over yet."""

    slot: int
    cart_id: UUID | None
    reserved: bool
    checkout_id: UUID | None


@dataclass(frozen=True, slots=True)
class VoucherUse:
    """How a code takes part in one purchase: ``slot`` to reserve, or 0 when its credit is in the balance already."""

    voucher: Voucher
    slot: int

    @property
    def grant_minor(self) -> int:
        return self.voucher.grant_minor if self.slot else 0

    @property
    def status(self) -> str:
        return "applied" if self.slot else "already_redeemed"


@dataclass(frozen=True, slots=True)
class OwnAttemptHolds:
    """The Organization's own unfinished attempt occupies the slot or place; it must be undone first."""

    checkout_id: UUID


def decide_use(
    *, voucher: Voucher, uses: list[OwnUse], cart_id: UUID, currency: str, now: datetime
) -> VoucherUse | OwnAttemptHolds:
    """Return how the code can be used by this cart.

    :raises VoucherNotAccepting: other currency, closed, or all places redeemed.
    :raises VoucherBusy: the last places are held by open orders of others.
    """
    if voucher.currency_id != currency:
        raise _refused(voucher, "other_currency")
    redeemed = [use for use in uses if not use.reserved]
    if any(use.cart_id == cart_id for use in redeemed):
        return VoucherUse(voucher, slot=0)
    reason = closed_reason(voucher, now)
    slot = _free_slot(voucher, uses)
    if not reason and slot is not None and not _is_full(voucher):
        return VoucherUse(voucher, slot=slot)
    if redeemed:
        return VoucherUse(voucher, slot=0)
    own = next((use.checkout_id for use in uses if use.reserved and use.checkout_id is not None), None)
    if own is not None and not reason:
        return OwnAttemptHolds(own)
    if reason or slot is None:
        raise _refused(voucher, reason or "used_up")
    raise voucher_busy()


def voucher_busy() -> VoucherBusy:
    return VoucherBusy(
        _("All remaining uses are held by open orders. Try again in a minute or two."), retry_after=_BUSY_RETRY_SECONDS
    )


def take_place(voucher: Voucher, *, column: str) -> None:
    """Take one of the voucher's places (``reserved_count`` or ``redeemed_count``), by one conditional UPDATE.

    A step, and the last write of its transaction: every buyer of a campaign wants this row.

    :raises VoucherBusy: the places went to others since the voucher was read.
    """
    taken = fetch_one(
        f"UPDATE billing_voucher SET {column} = {column} + 1"  # noqa: S608  (one of two column names)
        " WHERE id = %s AND active AND revoked_at IS NULL AND starts_at <= now()"
        " AND (ends_at IS NULL OR ends_at > now())"
        " AND (max_redemptions IS NULL OR reserved_count + redeemed_count < max_redemptions)"
        " RETURNING id",
        [voucher.pk],
        prepared=True,
    )
    if taken is None:
        raise voucher_busy()


def parse_uses(rows: list[dict[str, Any]]) -> list[OwnUse]:
    """Read the JSON rows that ``account_facts`` selects."""
    return [
        OwnUse(
            slot=row["slot"],
            cart_id=UUID(row["cart_id"]) if row["cart_id"] else None,
            reserved=row["state"] == "reserved",
            checkout_id=UUID(row["checkout_id"]) if row["checkout_id"] else None,
        )
        for row in rows
    ]


def _free_slot(voucher: Voucher, uses: list[OwnUse]) -> int | None:
    taken = {use.slot for use in uses}
    return next((slot for slot in range(1, voucher.per_organization_limit + 1) if slot not in taken), None)


def _is_full(voucher: Voucher) -> bool:
    taken = voucher.reserved_count + voucher.redeemed_count
    return voucher.max_redemptions is not None and taken >= voucher.max_redemptions


def _refused(voucher: Voucher, reason: str) -> VoucherNotAccepting:
    return VoucherNotAccepting(_("This voucher is not accepting redemptions now."), voucher=voucher, reason=reason)
