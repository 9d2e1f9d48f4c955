"""A selection becomes frozen lines, or a refusal that names the line; one statement whatever its size."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from marketplace.models import AddOn, Blueprint, BlueprintVersion, Bundle, Plan, Price
from marketplace.selectors.capacity import Footprint
from marketplace.selectors.dependencies import Unresolvable
from marketplace.selectors.selection import CapacityExceeded, LineUnavailable, PricedSelection, price_selection
from tenancy.models import Organization
from tests.marketplace.catalogue_rows import NOW, START, add_blueprint, load_catalogue

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _catalogue() -> None:
    load_catalogue()


def select(**changes: Any) -> PricedSelection:
    chosen: dict[str, Any] = {"plan": "m", "blueprints": ["bp-wordpress"], "addons": [], "bundle": ""}
    return price_selection(**{**chosen, "currency": "OMR", "at": NOW, **changes})


def lines(selection: PricedSelection) -> list[tuple[str, str, int]]:
    return [(line.kind, line.reference, line.unit_minor) for line in selection.lines]


def test_prices_a_plan_with_applications_and_included_addons() -> None:
    selection = select(blueprints=["bp-wordpress", "bp-umami"])

    assert lines(selection) == [
        ("plan", "m", 9000),
        ("blueprint", "bp-wordpress", 0),
        ("blueprint", "bp-umami", 0),
        ("addon", "custom-domain", 0),
        ("addon", "api-access", 0),
    ]
    assert (selection.total_minor, selection.monthly_minor) == (9000, 9000)
    assert selection.lock.applications() == ("shared-mysql", "shared-postgres", "umami", "wordpress")


def test_counts_overhead_applications_and_shared_services_once() -> None:
    selection = select(blueprints=["bp-umami", "bp-gitea"])

    # overhead 500/250/3 + 256/250/5 + 256/250/10 + one PostgreSQL 256/200/5
    assert selection.used == Footprint(memory_mib=1268, cpu_milli=950, disk_gib=23)
    assert selection.capacity == Footprint(memory_mib=8192, cpu_milli=4000, disk_gib=50)


def test_merges_duplicates() -> None:
    selection = select(blueprints=["bp-umami", "bp-umami"], addons=["api-access", "api-access"])

    assert [line.reference for line in selection.lines] == ["m", "bp-umami", "custom-domain", "api-access"]
    assert {line.quantity for line in selection.lines} == {1}


def test_charges_what_a_blueprint_costs_here() -> None:
    add_blueprint("shop", price=2500)

    selection = select(blueprints=["bp-shop"])

    assert ("blueprint", "bp-shop", 2500) in lines(selection)
    assert selection.monthly_minor == 11500


def test_charges_a_chosen_addon_and_gives_an_included_one() -> None:
    AddOn.objects.filter(slug="daily-backup").update(state="now")

    on_small, on_medium = select(plan="s", addons=["daily-backup"]), select(plan="m")

    assert ("addon", "daily-backup", 3000) in lines(on_small)
    assert on_small.monthly_minor == 8000
    assert ("addon", "daily-backup", 0) in lines(on_medium)
    assert on_medium.monthly_minor == 9000


def test_newest_price_that_has_begun_wins() -> None:
    Price.objects.create(kind="plan", reference="m", currency_id="OMR", amount_minor=9500, valid_from=NOW)
    Price.objects.create(
        kind="plan", reference="m", currency_id="OMR", amount_minor=7000, valid_from=NOW.replace(year=2027)
    )

    assert select(at=NOW).monthly_minor == 9500
    assert select(at=START).monthly_minor == 9000


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"plan": "flexi"}, "/plan"),
        ({"plan": "xxl"}, "/plan"),
        ({"plan": ""}, "/plan"),
        ({"plan": "M"}, "/plan"),
        ({"blueprints": ["bp-wordpress", "bp-nothing"]}, "/blueprints/1"),
        ({"blueprints": ["bp-twenty"]}, "/blueprints/0"),
        ({"blueprints": ["bp-mysql"]}, "/blueprints/0"),
        ({"blueprints": ["wordpress"]}, "/blueprints/0"),
        ({"addons": ["api-access", "waf"]}, "/addons/1"),
        ({"addons": ["nothing"]}, "/addons/0"),
        ({"bundle": "comms-hub"}, "/bundle"),
        ({"bundle": "nothing"}, "/bundle"),
        ({"currency": "USD"}, "/plan"),
    ],
)
def test_refuses_what_cannot_be_bought(changes: dict[str, Any], pointer: str) -> None:
    with pytest.raises(LineUnavailable) as refusal:
        select(**changes)

    assert refusal.value.pointer == pointer
    assert (refusal.value.code, refusal.value.status) == ("line_unavailable", 422)


@pytest.mark.parametrize("change", [{"retired_at": NOW}, {"state": "soon"}, {"visibility": "unlisted"}])
def test_refuses_a_blueprint_that_staff_took_off_the_shelf(change: dict[str, Any]) -> None:
    Blueprint.objects.filter(name="bp-wordpress").update(**change)

    with pytest.raises(LineUnavailable):
        select()


def test_refuses_a_blueprint_whose_only_version_was_yanked() -> None:
    BlueprintVersion.objects.filter(blueprint__name="bp-wordpress").update(yanked_at=NOW)

    with pytest.raises(LineUnavailable):
        select()


def test_refuses_when_a_dependency_is_gone() -> None:
    BlueprintVersion.objects.filter(blueprint__name="bp-mysql").update(yanked_at=NOW)

    with pytest.raises(Unresolvable, match="bp-mysql"):
        select()


def test_refuses_what_the_plan_cannot_hold_and_names_the_one_that_can() -> None:
    with pytest.raises(CapacityExceeded) as refusal:
        select(plan="s", blueprints=["bp-nextcloud", "bp-wordpress"])

    assert refusal.value.extra["smallest_plan"] == "m"
    # 500/250/3 + 512/500/20 + 256/250/5 + 256/200/5 + 256/200/5
    assert refusal.value.extra["used"] == {"memory_mib": 1780, "cpu_milli": 1400, "disk_gib": 38}
    assert refusal.value.extra["capacity"] == {"memory_mib": 4096, "cpu_milli": 2000, "disk_gib": 25}
    assert (refusal.value.code, refusal.value.status) == ("capacity_exceeded", 409)


def test_names_no_plan_when_none_can_hold_it() -> None:
    add_blueprint("giant", footprint=(100, 100, 5000))

    with pytest.raises(CapacityExceeded) as refusal:
        select(plan="xl", blueprints=["bp-giant"])

    assert refusal.value.extra["smallest_plan"] is None


@pytest.fixture
def _bundle() -> None:
    """Three members that can be bought, one that cannot."""
    Bundle.objects.create(
        slug="trio", title_en="Trio", title_ar="ثلاثي", discount_percent=10,
        members=["umami", "vaultwarden", "gitea", "chatwoot"],
    )  # fmt: skip


@pytest.mark.usefixtures("_bundle")
def test_named_bundle_brings_its_members_and_its_discount() -> None:
    selection = select(blueprints=[], bundle="trio")

    assert lines(selection)[:4] == [
        ("plan", "m", 9000),
        ("blueprint", "bp-umami", 0),
        ("blueprint", "bp-vaultwarden", 0),
        ("blueprint", "bp-gitea", 0),
    ]
    assert lines(selection)[-1] == ("discount", "trio", -900)
    assert (selection.bundle, selection.total_minor, selection.monthly_minor) == ("trio", 8100, 9000)


@pytest.mark.usefixtures("_bundle")
def test_discount_is_given_when_all_members_are_chosen_one_by_one() -> None:
    complete = select(blueprints=["bp-gitea", "bp-vaultwarden", "bp-umami"])
    partly = select(blueprints=["bp-gitea", "bp-vaultwarden"])

    assert (complete.bundle, complete.total_minor) == ("trio", 8100)
    assert (partly.bundle, partly.total_minor) == ("", 9000)


@pytest.mark.usefixtures("_bundle")
def test_one_bundle_per_order_the_better_one() -> None:
    Bundle.objects.create(
        slug="better", title_en="Better", discount_percent=20, members=["umami", "vaultwarden", "gitea"]
    )

    selection = select(blueprints=["bp-gitea", "bp-vaultwarden", "bp-umami"])

    assert [line for line in lines(selection) if line[0] == "discount"] == [("discount", "better", -1800)]


@pytest.mark.usefixtures("_bundle")
def test_discount_is_rounded_up_to_the_billing_step() -> None:
    Bundle.objects.filter(slug="trio").update(discount_percent=7)
    Price.objects.create(kind="plan", reference="m", currency_id="OMR", amount_minor=9010, valid_from=NOW)

    selection = select(blueprints=[], bundle="trio")

    # 7 % of 9010 is 630.7, so 631, so 640
    assert selection.total_minor == 9010 - 640


@pytest.mark.usefixtures("_bundle")
def test_bundle_needs_three_members_that_can_be_bought() -> None:
    Blueprint.objects.filter(name="bp-gitea").update(state="soon")

    with pytest.raises(LineUnavailable):
        select(blueprints=[], bundle="trio")


@pytest.mark.usefixtures("_bundle")
def test_bundle_that_staff_hold_back_gives_nothing() -> None:
    Bundle.objects.filter(slug="trio").update(state="soon")

    assert select(blueprints=["bp-gitea", "bp-vaultwarden", "bp-umami"]).total_minor == 9000


@pytest.mark.parametrize(
    ("bundle", "plan", "members", "discount", "total"),
    [
        ("starter-pack", "m", ["bp-wordpress", "bp-cal-com", "bp-umami"], -900, 8100),
        ("business-suite", "l", ["bp-nextcloud", "bp-invoiceshelf", "bp-nocodb", "bp-bookstack"], -3200, 12800),
    ],
)
def test_shipped_bundle_installs_what_is_sold_today_and_takes_its_discount_off_the_plan(
    bundle: str, plan: str, members: list[str], discount: int, total: int
) -> None:
    selection = select(plan=plan, blueprints=[], bundle=bundle)

    assert [line.reference for line in selection.lines if line.kind == "blueprint"] == members
    assert lines(selection)[-1] == ("discount", bundle, discount)
    assert (selection.total_minor, selection.monthly_minor) == (total, total - discount)
    assert select(plan=plan, blueprints=members).total_minor == total
    assert select(plan=plan, blueprints=members[1:]).total_minor == total - discount


def test_private_blueprint_is_sold_to_its_own_organization_only() -> None:
    acme = Organization.objects.create(slug="acme", name="Acme")
    rival = Organization.objects.create(slug="rival", name="Rival")
    add_blueprint("ledger", organization=acme)

    assert ("blueprint", "bp-ledger", 0) in lines(select(blueprints=["bp-ledger"], organization=acme))
    for stranger in (None, rival):
        with pytest.raises(LineUnavailable):
            select(blueprints=["bp-ledger"], organization=stranger)


def test_plan_without_a_price_is_not_sold() -> None:
    Plan.objects.create(slug="new", title_en="New", vcpu_milli=1, memory_mib=1, disk_gib=1, state="now")

    with pytest.raises(LineUnavailable):
        select(plan="new", blueprints=[])


@pytest.mark.parametrize("blueprints", [[], ["bp-umami", "bp-gitea", "bp-wordpress", "bp-vaultwarden"]])
def test_takes_one_statement_whatever_is_chosen(blueprints: list[str]) -> None:
    select(plan="l")  # the price list is read once for each stamp

    with CaptureQueriesContext(connection) as queries:
        select(plan="l", blueprints=blueprints, addons=["api-access"])

    assert len(queries) == 1
