"""The codes of a batch for the partner who gives them away: a table, and cards with QR codes to print."""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlencode

import segno
from django.conf import settings
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe

from billing.admin.base import shown_amount
from billing.models import Voucher, VoucherBatch
from catalyst.core.csv_text import write_csv
from catalyst.core.money import Money, plain_amount

#: Drawing a QR code takes about 13 ms, so that one sheet takes about a second.
PER_SHEET = 96
_COLUMNS = ("code", "credit", "currency", "uses", "starts_at", "ends_at", "link", "campaign", "partner")

Coded = Iterable[tuple[Voucher, str]]


@dataclass(frozen=True, slots=True)
class Card:
    code: str
    credit: str
    voucher: Voucher
    qr: SafeString


def redeem_link(code: str) -> str:
    """Return the address that opens the Voucher's page with the code typed in; opening it redeems nothing."""
    return f"{redeem_address()}?{urlencode({'code': code})}"


def redeem_address() -> str:
    """Return the address where a code is typed in."""
    return f"{settings.PUBLIC_URL}{reverse('redeem')}"


def codes_csv(row: VoucherBatch, found: Coded) -> str:
    """Return one line for each code."""
    lines = [
        (
            code,
            plain_amount(Money(voucher.grant_minor, str(voucher.currency_id))),
            voucher.currency_id,
            voucher.max_redemptions,
            voucher.starts_at.isoformat(),
            voucher.ends_at.isoformat() if voucher.ends_at else "",
            redeem_link(code),
            row.campaign,
            row.partner,
        )
        for voucher, code in found
    ]
    return write_csv([_COLUMNS, *lines])


def cards(found: Coded) -> list[Card]:
    """Return what is printed for each code."""
    return [
        Card(code, shown_amount(voucher.grant_minor, str(voucher.currency_id)), voucher, _qr(code))
        for voucher, code in found
    ]


def _qr(code: str) -> SafeString:
    drawn = segno.make(redeem_link(code), error="m", micro=False)
    # Paths that the library draws; the text itself is not in it.
    return mark_safe(drawn.svg_inline(omitsize=True, border=2))  # noqa: S308
