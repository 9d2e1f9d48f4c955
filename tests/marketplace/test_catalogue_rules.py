"""What the database itself refuses in the catalogue, with the rights of the application and past them."""

from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from marketplace.models import Blueprint, BlueprintVersion, Bundle, Plan, Price
from tenancy.models import Organization
from tests.marketplace.catalogue_rows import NOW, START, add_blueprint, load_catalogue

pytestmark = pytest.mark.django_db


def refused(act: Any) -> str:
    with pytest.raises(DatabaseError) as error, transaction.atomic():
        act()
    return str(error.value)


def as_owner(statement: str) -> str:
    def act() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL ROLE NONE")
            cursor.execute(statement)

    return refused(act)


@pytest.mark.parametrize("amount", [10, 190, 205, 1001, -10])
def test_price_in_rials_is_free_or_billable(amount: int) -> None:
    values = {"kind": "plan", "reference": "s", "currency_id": "OMR", "valid_from": NOW}

    assert "price_" in refused(lambda: Price.objects.create(**values, amount_minor=amount))
    assert not Price.objects.exists()


@pytest.mark.parametrize("amount", [0, 200, 5000])
def test_billable_price_is_kept(amount: int) -> None:
    Price.objects.create(kind="plan", reference="s", currency_id="OMR", amount_minor=amount, valid_from=NOW)

    assert Price.objects.get().amount_minor == amount


@pytest.mark.parametrize(
    "statement", ["UPDATE marketplace_price SET amount_minor = 0", "DELETE FROM marketplace_price"]
)
def test_price_is_never_changed(statement: str) -> None:
    Price.objects.create(kind="plan", reference="s", currency_id="OMR", amount_minor=5000, valid_from=NOW)

    assert "append-only" in as_owner(statement)
    assert "permission denied" in refused(lambda: connection.cursor().execute(statement))
    assert Price.objects.get().amount_minor == 5000


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("UPDATE marketplace_blueprintversion SET files = '{}'", "immutable"),
        ("UPDATE marketplace_blueprintversion SET digest = 'sha256:' || repeat('1', 64)", "immutable"),
        ("UPDATE marketplace_blueprintversion SET version = '9.9.9'", "immutable"),
        ("DELETE FROM marketplace_blueprintversion", "append-only"),
    ],
)
def test_published_version_is_never_changed(statement: str, reason: str) -> None:
    load_catalogue()
    before = list(BlueprintVersion.objects.values_list("version", "digest", "files"))

    assert reason in as_owner(statement)
    assert list(BlueprintVersion.objects.values_list("version", "digest", "files")) == before


def test_version_can_be_yanked_once() -> None:
    add_blueprint("shop")

    BlueprintVersion.objects.update(yanked_at=NOW)

    assert "set once" in refused(lambda: BlueprintVersion.objects.update(yanked_at=START))
    assert BlueprintVersion.objects.get().yanked_at == NOW


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"name": "bp-other"}, "blueprint_name_of_slug"),
        ({"slug": "Shop", "name": "bp-Shop"}, "blueprint_"),
        ({"color": "red"}, "blueprint_color"),
        ({"visibility": "private"}, "blueprint_visibility"),
        ({"source": "org"}, "blueprint_"),
        ({"state": "late"}, "blueprint_state"),
        ({"title": ""}, "blueprint_title"),
    ],
)
def test_blueprint_rules(values: dict[str, Any], rule: str) -> None:
    add_blueprint("shop")

    assert rule in refused(lambda: Blueprint.objects.update(**values))


def test_one_name_per_source_and_organization() -> None:
    acme = Organization.objects.create(slug="acme", name="Acme")
    add_blueprint("shop")
    add_blueprint("shop", organization=acme, price=None)

    assert "blueprint_name_once" in refused(lambda: add_blueprint("shop"))
    assert "blueprint_name_once" in refused(lambda: add_blueprint("shop", organization=acme))


@pytest.mark.parametrize("limit", ["vcpu_milli", "memory_mib", "disk_gib"])
def test_plan_that_is_sold_has_limits(limit: str) -> None:
    load_catalogue()

    assert "plan_sold_with_limits" in refused(lambda: Plan.objects.filter(slug="s").update(**{limit: 0}))
    assert "plan_sold_with_limits" in refused(lambda: Plan.objects.filter(slug="flexi").update(state="now"))


@pytest.mark.parametrize("values", [{"discount_percent": 0}, {"discount_percent": 101}, {"members": ["a", "b"]}])
def test_bundle_rules(values: dict[str, Any]) -> None:
    load_catalogue()

    with pytest.raises(IntegrityError), transaction.atomic():
        Bundle.objects.update(**values)
