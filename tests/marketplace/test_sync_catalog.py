"""``sync_catalog``: what ships arrives in one run, and what a person did is never undone."""

import shutil
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from marketplace.models import AddOn, Blueprint, BlueprintVersion, Bundle, Category, Industry, Plan, Price
from marketplace.services.blueprint_contract import ContractRefused
from marketplace.services.sync_catalog import sync_catalog
from tenancy.models import Sovereign
from tests.marketplace.catalogue_rows import NOW, SHIPPED, START, load_catalogue

pytestmark = pytest.mark.django_db

_SOLD = {
    *("bp-gitea", "bp-nextcloud", "bp-umami", "bp-uptime-kuma", "bp-vaultwarden", "bp-wordpress"),
    *("bp-bookstack", "bp-cal-com", "bp-formbricks", "bp-ghost", "bp-invoiceshelf", "bp-listmonk", "bp-nocodb"),
}


def test_fills_an_empty_database_in_one_run() -> None:
    load_catalogue()

    finished = Blueprint.objects.exclude(versions__state="draft")
    services = finished.filter(kind="service")
    assert finished.exclude(kind="service").count() == 27
    assert set(services.values_list("name", flat=True)) == {"bp-mysql", "bp-postgres", "bp-redis"}
    assert Category.objects.count() == 24
    assert Plan.objects.count() == 5
    assert AddOn.objects.count() == 9
    assert Bundle.objects.count() == 3
    assert Industry.objects.count() == 10
    sold = Blueprint.objects.filter(kind="application", state="now")
    assert set(sold.values_list("name", flat=True)) == _SOLD
    published = BlueprintVersion.objects.exclude(state="draft")
    assert set(published.values_list("blueprint__name", flat=True)) == {
        *_SOLD,
        "bp-mysql",
        "bp-postgres",
        "bp-redis",
    }


def test_seeds_the_prices_of_the_list() -> None:
    load_catalogue()

    prices = dict(Price.objects.filter(kind="plan").values_list("reference", "amount_minor"))
    assert prices == {"s": 5000, "m": 9000, "l": 16000, "xl": 30000}
    assert Price.objects.get(kind="addon", reference="daily-backup").amount_minor == 3000
    assert set(Price.objects.filter(kind="blueprint").values_list("amount_minor", flat=True)) == {0}


def test_second_run_writes_nothing() -> None:
    load_catalogue()

    with CaptureQueriesContext(
        connection,
    ) as queries:
        report = sync_catalog(blueprints_root=SHIPPED, now=NOW)

    writes = [each["sql"] for each in queries if each["sql"].split()[0] in {"INSERT", "UPDATE", "DELETE"}]
    assert writes == []
    assert (report.created, report.updated, report.conflicts) == ([], [], [])


def test_keeps_what_a_person_edited() -> None:
    load_catalogue()
    Plan.objects.filter(slug="m").update(title_en="Medium", popular=False, edited_at=NOW)

    report = load_catalogue()

    plan = Plan.objects.get(slug="m")
    assert (plan.title_en, plan.popular) == ("Medium", False)
    assert report.updated == []


def test_never_reactivates_what_a_person_retired() -> None:
    load_catalogue()
    Blueprint.objects.filter(name="bp-umami").update(retired_at=NOW, state="soon")

    report = load_catalogue()

    row = Blueprint.objects.get(name="bp-umami")
    assert (row.retired_at, row.state) == (NOW, "soon")
    assert report.created == []


def test_names_what_has_no_price_in_the_currency_of_the_sovereign(sovereign: Sovereign) -> None:
    Sovereign.objects.update(currency="USD")

    report = load_catalogue()

    assert not Price.objects.exists()
    assert {"plan m", "addon daily-backup", "blueprint bp-wordpress"} <= set(report.unpriced)
    Price.objects.create(kind="plan", reference="m", currency_id="USD", amount_minor=900, valid_from=START)
    assert "plan m" not in load_catalogue().unpriced


def test_never_adds_a_second_price() -> None:
    load_catalogue()
    Price.objects.create(kind="plan", reference="m", currency_id="OMR", amount_minor=9500, valid_from=NOW)

    load_catalogue()

    amounts = (
        Price.objects.filter(kind="plan", reference="m").order_by("valid_from").values_list("amount_minor", flat=True)
    )
    assert list(amounts) == [9000, 9500]


def test_follows_the_release_where_nobody_edited() -> None:
    load_catalogue()
    Plan.objects.filter(slug="m").update(audience_en="Old text")

    report = load_catalogue()

    assert report.updated == ["plan m"]
    assert Plan.objects.get(slug="m").audience_en == "Growing business, up to 30 people"


def test_keeps_a_published_version_whose_folder_changed(tmp_path: Path) -> None:
    load_catalogue()
    published = BlueprintVersion.objects.get(blueprint__name="bp-umami")
    changed = tmp_path / "blueprints"
    shutil.copytree(SHIPPED, changed)
    (changed / "platform" / "umami" / "README.md").write_text("Other words.\n")

    report = sync_catalog(blueprints_root=changed, now=timezone.now())

    assert report.conflicts == ["bp-umami 1.0.0"]
    kept = BlueprintVersion.objects.get(blueprint__name="bp-umami")
    assert (kept.digest, kept.files) == (published.digest, published.files)


def test_refuses_a_broken_folder_and_writes_nothing(tmp_path: Path) -> None:
    broken = tmp_path / "blueprints"
    shutil.copytree(SHIPPED, broken)
    document = broken / "platform" / "umami" / "blueprint.yaml"
    document.write_text(document.read_text().replace("category: analytics", "category: nowhere"))

    with pytest.raises(ContractRefused, match=r"BP-C02 bp-umami/blueprint\.yaml spec\.card\.category"):
        sync_catalog(blueprints_root=broken, now=START)

    assert not Blueprint.objects.exists()
    assert not Category.objects.exists()


def test_every_row_speaks_arabic() -> None:
    load_catalogue()

    for model in (Category, Plan, AddOn, Bundle, Industry):
        assert not model._default_manager.filter(title_ar="").exists()
    assert not Blueprint.objects.filter(tagline_ar="").exists()
