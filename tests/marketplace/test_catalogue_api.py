"""The public catalogue over HTTP: fields and codes of the fixed API, the same for everybody, cacheable."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from marketplace.models import Blueprint
from tenancy.models import Organization
from tests.marketplace.catalogue_rows import add_blueprint, load_catalogue

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sovereign")]


@pytest.fixture(autouse=True)
def _catalogue(sovereign: object) -> None:
    load_catalogue()


def get(api: APIClient, path: str, **headers: Any) -> Any:
    answer = api.get(f"/api/v1{path}", **headers)
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_lists_blueprints_with_count_and_pages(api: APIClient) -> None:
    first = get(api, "/blueprints/")

    assert (first["count"], len(first["results"])) == (27, 24)
    assert first["previous"] is None
    second = api.get(first["next"]).json()
    assert (len(second["results"]), second["next"]) == (3, None)
    assert set(first["results"][0]) >= {
        *("name", "title", "tagline", "category", "latest_version", "installable", "price"),
    }


def test_blueprint_row_says_what_it_costs_and_whether_it_installs(api: APIClient) -> None:
    rows = {row["name"]: row for row in get(api, "/blueprints/?page_size=100")["results"]}

    assert rows["bp-wordpress"]["installable"] is True
    assert rows["bp-wordpress"]["price"] == {"amount": 0, "currency": "OMR"}
    assert rows["bp-wordpress"]["latest_version"] == "1.0.0"
    assert rows["bp-twenty"]["installable"] is False
    assert rows["bp-twenty"]["latest_version"] is None
    assert "bp-mysql" not in rows


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("search=password", ["bp-vaultwarden"]),
        ("category=analytics", ["bp-umami"]),
        ("tag=git", ["bp-gitea"]),
        ("category=analytics&search=wordpress", []),
        ("search=%00", []),
        ("search=" + "x" * 5000, []),
    ],
)
def test_filters_blueprints(api: APIClient, query: str, names: list[str]) -> None:
    assert [row["name"] for row in get(api, f"/blueprints/?{query}")["results"]] == names


def test_shows_one_blueprint_with_its_contract(api: APIClient) -> None:
    detail = get(api, "/blueprints/bp-wordpress/")

    assert detail["versions"][0]["version"] == "1.0.0"
    assert set(detail["config_schema"]["properties"]) == {"hostname", "adminEmail", "title"}
    assert detail["depends"] == [{"blueprint": "bp-mysql", "version": "^1.0", "alias": "db", "sharing": "shared"}]
    assert detail["placement"] == {"modes": ["single-region"], "minRegions": 1, "maxRegions": 1}


@pytest.mark.parametrize("path", ["/blueprints/bp-nothing/", "/blueprints/%2e%2e/", "/blueprints/?page=99"])
def test_missing_is_a_problem_document(api: APIClient, path: str) -> None:
    answer = api.get(f"/api/v1{path}")

    assert answer.status_code == 404
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "not_found"


def test_private_blueprint_answers_like_a_missing_one(api: APIClient) -> None:
    acme = Organization.objects.create(slug="acme", name="Acme")
    add_blueprint("ledger", organization=acme)

    foreign, missing = (api.get(f"/api/v1/blueprints/bp-{slug}/") for slug in ("ledger", "nothing"))
    assert (foreign.status_code, foreign.json()) == (404, missing.json())
    assert get(api, "/blueprints/?search=ledger")["count"] == 0


def test_speaks_arabic(api: APIClient) -> None:
    row = get(api, "/blueprints/?category=analytics", HTTP_ACCEPT_LANGUAGE="ar")["results"][0]

    assert row["tagline"] == "إحصاءات الموقع دون تتبّع الزوار"
    english = get(api, "/blueprints/?category=analytics", HTTP_ACCEPT_LANGUAGE="fr, en;q=0.5")["results"][0]
    assert english["tagline"] == "Website statistics without following people"


def test_plans_are_the_price_list(api: APIClient) -> None:
    rows = get(api, "/plans/")["results"]

    assert [(row["slug"], row["state"], row["price"] and row["price"]["amount"]) for row in rows] == [
        ("s", "now", 5000),
        ("m", "now", 9000),
        ("l", "now", 16000),
        ("xl", "now", 30000),
        ("flexi", "soon", None),
    ]
    assert rows[1]["capacity"] == {"memory_mib": 8192, "cpu_milli": 4000, "disk_gib": 50}


def test_addons_say_what_includes_them(api: APIClient) -> None:
    rows = {row["slug"]: row for row in get(api, "/addons/")["results"]}

    assert len(rows) == 9
    assert (rows["api-access"]["state"], rows["api-access"]["included_from"]) == ("now", "every")
    assert (rows["custom-domain"]["state"], rows["custom-domain"]["included_from"]) == ("now", "every")
    assert rows["daily-backup"]["price"] == {"amount": 3000, "currency": "OMR"}


def test_bundles_are_soon_while_fewer_than_three_members_can_be_bought(api: APIClient) -> None:
    rows = {row["slug"]: row for row in get(api, "/bundles/")["results"]}

    assert {slug: row["state"] for slug, row in rows.items()} == {
        "starter-pack": "now",
        "business-suite": "now",
        "comms-hub": "soon",
    }
    assert rows["starter-pack"]["members_today"] == ["bp-wordpress", "bp-cal-com", "bp-umami"]
    assert (rows["starter-pack"]["fits"], rows["starter-pack"]["recommended_plan"]) == ("s", "m")
    assert rows["business-suite"]["members_today"] == ["bp-nextcloud", "bp-invoiceshelf", "bp-nocodb", "bp-bookstack"]
    assert (rows["business-suite"]["fits"], rows["business-suite"]["recommended_plan"]) == ("m", "l")
    assert rows["comms-hub"]["members_today"] == ["bp-cal-com", "bp-nextcloud"]


def test_bundle_opens_by_itself_when_its_third_member_can_be_bought(api: APIClient) -> None:
    Blueprint.objects.filter(name="bp-rocket-chat").delete()
    add_blueprint("rocket-chat", price=None, footprint=(512, 500, 5))

    rows = {row["slug"]: row for row in get(api, "/bundles/")["results"]}

    hub = rows["comms-hub"]
    assert hub["state"] == "now"
    assert hub["members_today"] == ["bp-cal-com", "bp-nextcloud", "bp-rocket-chat"]
    assert (hub["fits"], hub["recommended_plan"]) == ("m", "l")


def test_industries_name_what_can_be_chosen_today(api: APIClient) -> None:
    rows = {row["slug"]: row for row in get(api, "/industries/")["results"]}

    assert len(rows) == 10
    assert rows["restaurant"]["available"] == ["bp-wordpress", "bp-cal-com", "bp-invoiceshelf", "bp-umami"]
    assert rows["restaurant"]["fits"] == "m"
    assert rows["restaurant"]["bundle"] == "starter-pack"


@pytest.mark.parametrize(
    "path", ["/blueprints/", "/blueprints/bp-umami/", "/plans/", "/addons/", "/bundles/", "/industries/"]
)
def test_answers_are_public_and_cacheable(api: APIClient, path: str) -> None:
    answer = api.get(f"/api/v1{path}", HTTP_AUTHORIZATION="Bearer nonsense")

    assert answer.status_code == 200
    assert {"public", "max-age=60"} <= {part.strip() for part in answer["Cache-Control"].split(",")}
    assert "Accept-Language" in answer["Vary"]
    assert "Cookie" not in answer["Vary"]
    assert answer.cookies == {}


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_nothing_can_be_written(api: APIClient, method: str) -> None:
    assert getattr(api, method)("/api/v1/plans/", {}).status_code == 405
