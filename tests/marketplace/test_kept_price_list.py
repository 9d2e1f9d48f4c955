"""A process keeps the price list parsed; what it answers is still what Postgres says now."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from marketplace.models import Plan, Price
from marketplace.selectors.offer import Offer, load_offer
from tests.marketplace.catalogue_rows import NOW, add_blueprint, load_catalogue

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _catalogue() -> None:
    load_catalogue()


def offer(**changes: Any) -> Offer:
    return load_offer(**{"organization": None, "currency": "OMR", "at": NOW, **changes})


def price_of(slug: str, **changes: Any) -> int | None:
    return next(row.price_minor for row in offer(**changes).plans if row.slug == slug)


def test_is_parsed_once_while_nothing_changes() -> None:
    assert offer() is offer(at=NOW + timedelta(hours=1))


def test_asks_postgres_every_time_with_one_statement() -> None:
    offer()

    with CaptureQueriesContext(connection) as captured:
        offer()

    assert len(captured) == 1


def test_a_price_counts_from_its_moment_on_and_not_before() -> None:
    assert price_of("m") == 9000

    Price.objects.create(
        kind="plan", reference="m", currency_id="OMR", amount_minor=9500, valid_from=NOW + timedelta(days=1)
    )

    assert [price_of("m", at=NOW + timedelta(days=days)) for days in (0, 1, 2, 0)] == [9000, 9500, 9500, 9000]


def test_what_was_rolled_back_is_forgotten() -> None:
    with transaction.atomic():
        Plan.objects.filter(slug="m").update(title_en="Middle")
        assert [row.title_en for row in offer().plans if row.slug == "m"] == ["Middle"]
        transaction.set_rollback(True)

    assert [row.title_en for row in offer().plans if row.slug == "m"] == ["M"]


def test_two_changes_of_one_row_are_two_lists() -> None:
    seen = []
    for title in ("First", "Second", "First"):
        Plan.objects.filter(slug="m").update(title_en=title)
        seen += [row.title_en for row in offer().plans if row.slug == "m"]

    assert seen == ["First", "Second", "First"]


def test_another_currency_is_another_list() -> None:
    assert (price_of("m"), price_of("m", currency="EUR")) == (9000, None)


def test_a_private_blueprint_is_in_its_owners_list_only(organization: Any) -> None:
    add_blueprint("inside", organization=organization)

    assert "bp-inside" in offer(organization=organization).listings
    assert "bp-inside" not in offer().listings


def test_a_withdrawn_version_is_gone() -> None:
    row = add_blueprint("one")
    assert "bp-one" in offer().for_sale

    row.versions.update(yanked_at=NOW)

    assert "bp-one" not in offer().for_sale


def test_many_lists_do_not_pile_up() -> None:
    for number in range(40):
        Plan.objects.filter(slug="m").update(title_en=f"M {number}")
        offer()

    assert [row.title_en for row in offer().plans if row.slug == "m"] == ["M 39"]
