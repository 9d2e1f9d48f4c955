"""What a printed invoice or credit note says: plain values out of the frozen row, ready to be set as text.

Dates are days of the Sovereign's zone in ISO form, which both languages read; amounts have their currency's decimals.
"""

import unicodedata
from datetime import datetime
from decimal import Decimal
from typing import Any

import segno

from billing.models import CreditNote, Invoice
from billing.selectors.invoices import document_number, local_zone
from catalyst.core.money import ARABIC_MARKS, EXPONENTS

Facts = dict[str, Any]

#: Joiners shape letters and emoji; every other invisible or directional character could only mislead.
_JOINERS = frozenset("\u200c\u200d")
_LONGEST_QR_NAME = 60
_LONGEST_WORD = 20


def invoice_facts(invoice: Invoice) -> Facts:
    """Return what the invoice says."""
    return {
        **_common(invoice, invoice, total_minor=invoice.total_minor),
        "title": _title(invoice, ("Tax invoice", "فاتورة ضريبية"), ("Invoice", "فاتورة")),
        "order": invoice.order.number if invoice.order else "",
        "lines": [_line(line, invoice.currency_id) for line in invoice.lines],
        "tenders": _tenders(
            invoice.currency_id,
            ("From credit", "من الرصيد", invoice.credit_minor),
            ("By card", "بالبطاقة", invoice.card_minor),
        ),
    }


def credit_note_facts(note: CreditNote) -> Facts:
    """Return what the credit note says; amounts are positive and go to the buyer."""
    invoice = note.invoice
    total = note.credit_minor + note.card_minor
    line = {"title": "Refund", "title_ar": "استرداد", "quantity": 1, "unit_minor": total, "total_minor": total}
    return {
        **_common(note, invoice, total_minor=total),
        "title": _title(note, ("Tax credit note", "إشعار دائن ضريبي"), ("Credit note", "إشعار دائن")),
        "order": "",
        "corrects": document_number(invoice.series, invoice.number or 0),
        "reason": _text(note.reason),
        "lines": [_line(line, invoice.currency_id)],
        "tenders": _tenders(
            invoice.currency_id,
            ("Back to credit", "يُعاد إلى الرصيد", note.credit_minor),
            ("Back to the card", "يُعاد إلى البطاقة", note.card_minor),
        ),
    }


def _common(document: Invoice | CreditNote, invoice: Invoice, *, total_minor: int) -> Facts:
    currency = invoice.currency_id
    number, issued = document_number(document.series, document.number or 0), _day(document.issued_at)
    tax_minor = document.tax_minor
    sums = {"net": total_minor - tax_minor, "tax": tax_minor, "total": total_minor}
    shown = {name: _amount(amount, currency) for name, amount in sums.items()}
    return {
        "number": number,
        "uuid": str(document.uuid),
        "issued": issued,
        "period": _period(invoice),
        "corrects": "",
        "reason": _text(""),
        "currency": {"en": currency, "ar": ARABIC_MARKS.get(currency, currency)},
        "rate": f"{_percent(invoice.tax_percent)}%",
        "seller": _party(document.seller),
        "buyer": _party(document.buyer),
        "sums": shown,
        "qr": _qr(document, number, issued, f"{currency} {shown['total']}", f"{currency} {shown['tax']}"),
    }


def _title(document: Invoice | CreditNote, taxed: tuple[str, str], plain: tuple[str, str]) -> Facts:
    """Return the heading: only a seller with a VAT number may call it a tax document."""
    return dict(zip(("en", "ar"), taxed if document.seller.get("vatin") else plain, strict=True))


def _tenders(currency: str, *tenders: tuple[str, str, int]) -> list[Facts]:
    return [{"en": en, "ar": ar, "amount": _amount(amount, currency)} for en, ar, amount in tenders if amount]


def _party(facts: Facts) -> Facts:
    return {
        "name": _text(facts.get("name", "")),
        "name_ar": _text(facts.get("name_ar", "")),
        "address": [_text(row) for row in str(facts.get("address", "")).splitlines() if row.strip()],
        "vatin": facts.get("vatin", ""),
        "email": facts.get("email", ""),
    }


def _line(line: Facts, currency: str) -> Facts:
    what, what_ar = ("Plan ", "باقة ") if line.get("kind") == "plan" else ("", "")
    return {
        "title": _text(f"{what}{line['title']}"),
        "title_ar": _text(f"{what_ar}{line['title_ar']}" if line["title_ar"] else ""),
        "quantity": str(line["quantity"]),
        "unit": _amount(line["unit_minor"], currency),
        "total": _amount(line["total_minor"], currency),
    }


def _text(value: str) -> Facts:
    """Return a text from outside without characters that steer, and the direction of its first letter."""
    plain = "".join(_visible(character) for character in value)
    plain = " ".join(_breakable(word) for word in plain.split())
    strong = (unicodedata.bidirectional(character) for character in plain)
    first = next((kind for kind in strong if kind in ("L", "R", "AL")), "L")
    return {"text": plain, "rtl": first != "L"}


def _breakable(word: str) -> str:
    """Let a word that is wider than its column break anywhere."""
    return word if len(word) <= _LONGEST_WORD else "\u200b".join(word)


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cc":
        return " "
    return "" if category in ("Cf", "Cs", "Co", "Cn") and character not in _JOINERS else character


def _amount(amount_minor: int, currency: str) -> str:
    exponent = EXPONENTS[currency]
    return f"{Decimal(amount_minor).scaleb(-exponent):,.{exponent}f}".replace("-", "\u2212")


def _percent(rate: Decimal) -> str:
    return f"{rate.normalize():f}"


def _day(moment: datetime | None) -> str:
    return moment.astimezone(local_zone()).date().isoformat() if moment else ""


def _period(invoice: Invoice) -> str:
    period = invoice.period
    return f"{_day(period.lower)} – {_day(period.upper)}" if period is not None else ""


def _qr(document: Invoice | CreditNote, number: str, issued: str, total: str, tax: str) -> str:
    """Return the fields that an auditor compares, as a QR code (SVG)."""
    seller = _text(document.seller.get("name", ""))["text"][:_LONGEST_QR_NAME]
    fields = [seller, document.seller.get("vatin", ""), number, str(document.uuid), issued, total, f"VAT {tax}"]
    code = segno.make("\n".join(field for field in fields if field), error="m", micro=False)
    return str(code.svg_inline(border=0, scale=4, omitsize=True, dark="#17211f"))
