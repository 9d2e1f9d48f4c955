"""Amounts on pages: one form per language, isolated from the text around them."""

from datetime import datetime

import pytest
from django.template import Context, Template
from django.utils import translation
from django.utils.formats import date_format, localize

ARABIC_MARK = "ر.ع.\u200f"


def render(amount: int, currency: str, language: str) -> str:
    with translation.override(language):
        return Template("{% money amount currency %}").render(Context({"amount": amount, "currency": currency}))


@pytest.mark.parametrize(
    ("amount", "language", "shown"),
    [
        (12500, "en", "OMR\u00a012.500"),
        (12500, "ar", f"12.500\u00a0{ARABIC_MARK}"),
        (-900, "en", "\u2212OMR\u00a00.900"),
        (-900, "ar", f"\u22120.900\u00a0{ARABIC_MARK}"),
        (1234567890, "ar", f"1,234,567.890\u00a0{ARABIC_MARK}"),
    ],
)
def test_shows_three_decimals_and_the_mark_of_the_language(amount: int, language: str, shown: str) -> None:
    html = render(amount, "OMR", language)

    assert html == f'<bdi dir="ltr"><data value="{amount}">{shown}</data></bdi>'


def test_django_itself_never_prints_a_decimal_comma_in_arabic() -> None:
    with translation.override("ar"):
        assert localize(12.5, use_l10n=True) == "12.5"


def test_dates_read_as_the_design_says() -> None:
    moment = datetime(2026, 11, 23, 14, 5)  # noqa: DTZ001  (only its format matters)
    with translation.override("en"):
        assert date_format(moment, "DATETIME_FORMAT") == "23 Nov 2026, 14:05"
    with translation.override("ar"):
        assert date_format(moment, "DATETIME_FORMAT") == "23 نوفمبر 2026، 14:05"
