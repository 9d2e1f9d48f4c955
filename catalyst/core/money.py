"""Money: integer minor units with an ISO 4217 code, one parser, one formatter.

Source: checkout.md §2 and surfaces.md §4 of the design, kept in docs/money.md.
"""

import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal
from http import HTTPStatus

from catalyst.core.errors import DomainError

#: Decimal places per currency (ISO 4217). The processor's step and minimum are rows of ``core_currency``.
EXPONENTS = {"OMR": 3, "BHD": 3, "JOD": 3, "KWD": 3, "TND": 3, "USD": 2, "EUR": 2, "AED": 2, "SAR": 2, "JPY": 0}

#: The currency mark, one constant per language; a currency without an Arabic mark shows its code.
ARABIC_MARKS = {"OMR": "ر.ع."}

_NO_BREAK_SPACE = "\u00a0"
_MINUS = "\u2212"
_AMOUNT = re.compile(r"(\d{1,12})(?:\.(\d+))?")


class InvalidAmount(DomainError):
    code = "invalid_amount"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """An amount in minor units (OMR: 1000 baisa) of one currency; arithmetic refuses to mix currencies."""

    amount: int
    currency: str

    def __post_init__(self) -> None:
        if isinstance(self.amount, bool) or not isinstance(self.amount, int):
            raise TypeError("Money counts whole minor units.")
        if self.currency not in EXPONENTS:
            raise InvalidAmount(f"Unknown currency {self.currency!r}.")

    def __add__(self, other: "Money") -> "Money":
        return Money(self.amount + self._same(other), self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return Money(self.amount - self._same(other), self.currency)

    def __neg__(self) -> "Money":
        return Money(-self.amount, self.currency)

    def __lt__(self, other: "Money") -> bool:
        return self.amount < self._same(other)

    def __le__(self, other: "Money") -> bool:
        return self.amount <= self._same(other)

    def _same(self, other: "Money") -> int:
        if other.currency != self.currency:
            raise InvalidAmount(f"{other.currency} and {self.currency} do not mix.")
        return other.amount

    def as_json(self) -> dict[str, int | str]:
        """Return the API's form, an integer in minor units and a code."""
        return {"amount": self.amount, "currency": self.currency}

    def format(self, language: str = "en") -> str:
        """Return the amount for people: ``OMR 12.500``, ``12.500 ر.ع.``, always with the currency's decimals."""
        exponent = EXPONENTS[self.currency]
        whole, fraction = divmod(abs(self.amount), 10**exponent)
        digits = f"{whole:,}" + (f".{fraction:0{exponent}d}" if exponent else "")
        sign = _MINUS if self.amount < 0 else ""
        if language.startswith("ar"):
            return f"{sign}{digits}{_NO_BREAK_SPACE}{ARABIC_MARKS.get(self.currency, self.currency)}"
        return f"{sign}{self.currency}{_NO_BREAK_SPACE}{digits}"


def parse_amount(text: str, currency: str) -> Money:
    """Read an amount that a person typed: ``12.5``, ``12.500``, Arabic digits; a comma is refused as ambiguous.

    :raises InvalidAmount: not a number, more decimals than the currency has, or a comma.
    """
    exponent = EXPONENTS[currency]
    ascii_text = "".join(_ascii_digit(character) for character in text.strip()).replace("\u066b", ".")
    match = _AMOUNT.fullmatch(ascii_text)
    if match is None or len(match[2] or "") > exponent:
        raise InvalidAmount(f"Write the amount like {Decimal(12500).scaleb(-3):.{exponent}f}, with a point.")
    return Money(int(match[1]) * 10**exponent + int((match[2] or "").ljust(exponent, "0") or "0"), currency)


def plain_amount(money: Money) -> str:
    """Return the amount as digits and a point, as ``parse_amount`` and a spreadsheet read it: ``12.500``."""
    exponent = EXPONENTS[money.currency]
    return f"{Decimal(money.amount).scaleb(-exponent):.{exponent}f}"


def _ascii_digit(character: str) -> str:
    return str(unicodedata.decimal(character)) if character.isdecimal() else character


def round_up(amount: int, step: int) -> int:
    """Return the smallest multiple of ``step`` that is at least ``amount`` (minor units)."""
    return -(-amount // step) * step


def included_vat(gross_minor: int, rate_percent: Decimal) -> int:
    """Return the VAT inside a tax-inclusive amount, in minor units, rounded half to even.

    Source: catalog.md §1 rule 2.
    """
    return int((Decimal(gross_minor) * rate_percent / (100 + rate_percent)).quantize(Decimal(1)))
