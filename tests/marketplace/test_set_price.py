"""A price change is a new version; nothing before it moves."""

from datetime import timedelta
from typing import Any

import pytest

from marketplace.models import Price
from marketplace.services.prices import PriceRefused, set_price
from tests.marketplace.catalogue_rows import NOW, a_person, load_catalogue

pytestmark = pytest.mark.django_db


def change(**values: Any) -> Price:
    wanted: dict[str, Any] = {
        "kind": "plan", "reference": "m", "currency": "OMR", "amount_minor": 9500, "valid_from": NOW, "now": NOW,
    }  # fmt: skip
    return set_price(**{**wanted, "actor": a_person(), **values})


def test_adds_a_version_and_keeps_the_old_one() -> None:
    load_catalogue()

    price = change()

    versions = Price.objects.filter(kind="plan", reference="m").order_by("valid_from")
    assert list(versions.values_list("amount_minor", flat=True)) == [9000, 9500]
    assert price.set_by is not None


@pytest.mark.parametrize(
    ("values", "pointer"),
    [
        ({"amount_minor": 9505}, "/amount_minor"),
        ({"amount_minor": 190}, "/amount_minor"),
        ({"amount_minor": -10}, "/amount_minor"),
        ({"currency": "USD", "amount_minor": 49}, "/amount_minor"),
        ({"currency": "XXX"}, "/currency"),
        ({"reference": "xxl"}, "/reference"),
        ({"kind": "discount"}, "/reference"),
        ({"kind": "blueprint", "reference": "bp-mysql"}, "/reference"),
        ({"valid_from": NOW - timedelta(seconds=1)}, "/valid_from"),
    ],
)
def test_refuses_what_cannot_be_charged(values: dict[str, Any], pointer: str) -> None:
    load_catalogue()
    before = Price.objects.count()

    with pytest.raises(PriceRefused) as refusal:
        change(**values)

    assert refusal.value.pointer == pointer
    assert Price.objects.count() == before


def test_refuses_a_second_price_of_the_same_moment() -> None:
    load_catalogue()
    change()

    with pytest.raises(PriceRefused):
        change(amount_minor=9900)

    assert Price.objects.get(reference="m", valid_from=NOW).amount_minor == 9500


@pytest.mark.parametrize(("currency", "amount"), [("OMR", 0), ("OMR", 200), ("USD", 51)])
def test_step_and_floor_are_those_of_the_currency(currency: str, amount: int) -> None:
    load_catalogue()

    assert change(currency=currency, amount_minor=amount).amount_minor == amount
