"""Money: whole minor units, one parser, one formatter."""

from decimal import Decimal
from typing import Any

import pytest

from catalyst.core.money import InvalidAmount, Money, included_vat, parse_amount, plain_amount, round_up


@pytest.mark.parametrize(
    ("amount", "currency", "language", "text"),
    [
        (12500, "OMR", "en", "OMR\u00a012.500"),
        (0, "OMR", "en", "OMR\u00a00.000"),
        (5, "OMR", "en", "OMR\u00a00.005"),
        (-12500, "OMR", "en", "\u2212OMR\u00a012.500"),
        (1234567890, "OMR", "en", "OMR\u00a01,234,567.890"),
        (12500, "OMR", "ar", "12.500\u00a0ر.ع."),
        (-5, "OMR", "ar", "\u22120.005\u00a0ر.ع."),
        (1999, "USD", "en", "USD\u00a019.99"),
        (1999, "USD", "ar", "19.99\u00a0USD"),
        (500, "JPY", "en", "JPY\u00a0500"),
    ],
)
def test_is_written_with_its_currencys_decimals(amount: Any, currency: Any, language: Any, text: Any) -> None:
    assert Money(amount, currency).format(language) == text


@pytest.mark.parametrize(
    ("text", "currency", "amount"),
    [
        ("12.5", "OMR", 12500),
        ("12.500", "OMR", 12500),
        (" 12 ", "OMR", 12000),
        ("0.001", "OMR", 1),
        ("١٢٫٥", "OMR", 12500),
        ("19.99", "USD", 1999),
        ("500", "JPY", 500),
        ("999999999999", "OMR", 999999999999000),
    ],
)
def test_is_read_from_what_people_type(text: Any, currency: Any, amount: Any) -> None:
    assert parse_amount(text, currency) == Money(amount, currency)


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("", "OMR"),
        ("12,5", "OMR"),
        ("12.5005", "OMR"),
        ("-1", "OMR"),
        ("+1", "OMR"),
        ("1e3", "OMR"),
        (".5", "OMR"),
        ("1.", "OMR"),
        ("OMR 1", "OMR"),
        ("1 000", "OMR"),
        ("9" * 13, "OMR"),
        ("1.999", "USD"),
        ("1.0", "JPY"),
        ("²", "OMR"),
    ],
)
def test_refuses_what_is_ambiguous(text: Any, currency: Any) -> None:
    with pytest.raises(InvalidAmount):
        parse_amount(text, currency)


@pytest.mark.parametrize("amount", [1.5, True, "1", Decimal(1)])
def test_counts_whole_units_only(amount: Any) -> None:
    with pytest.raises(TypeError):
        Money(amount, "OMR")


def test_does_not_mix_currencies() -> None:
    with pytest.raises(InvalidAmount):
        Money(1, "OMR") + Money(1, "USD")


def test_adds_and_compares() -> None:
    assert Money(5, "OMR") + Money(7, "OMR") - Money(2, "OMR") == Money(10, "OMR")
    assert Money(5, "OMR") < Money(7, "OMR")
    assert Money(12500, "OMR").as_json() == {"amount": 12500, "currency": "OMR"}


@pytest.mark.parametrize(("amount", "step", "expected"), [(1, 10, 10), (10, 10, 10), (0, 10, 0), (11, 10, 20)])
def test_rounds_up_to_the_processors_step(amount: Any, step: Any, expected: Any) -> None:
    assert round_up(amount, step) == expected


@pytest.mark.parametrize(("gross", "vat"), [(10500, 500), (12500, 595), (0, 0), (21, 1)])
def test_included_vat(gross: Any, vat: Any) -> None:
    assert included_vat(gross, Decimal(5)) == vat


@pytest.mark.parametrize(
    ("money", "text"),
    [(Money(12_500, "OMR"), "12.500"), (Money(1_234_567, "OMR"), "1234.567"), (Money(5, "OMR"), "0.005")],
)
def test_a_plain_amount_is_read_back(money: Money, text: str) -> None:
    assert plain_amount(money) == text
    assert parse_amount(text, money.currency) == money
