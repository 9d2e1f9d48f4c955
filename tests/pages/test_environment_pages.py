"""The Environments of an Organization in the console: the list, a new one, an installation, and a promotion."""

from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from billing.views import environments as environment_pages
from marketplace.models import Application, Change, ChangePreview
from marketplace.services.planner_request import Install
from tenancy.models import Environment, Membership, Organization, Sovereign, User
from tests.factories import MembershipFactory
from tests.marketplace.deliver_rows import publish_events
from tests.marketplace.policy_rows import APPROVALS, rule_by
from tests.marketplace.test_promotion import SCHEMA, Stage
from tests.marketplace.upgrade_rows import needs, publish
from tests.pages.test_console import page

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("nothing_is_sold")]

LIST = "/console/acme/environments/"
INSTALL = "/console/acme/dev/install/"
PROMOTE = "/console/acme/stg/promote/"


@pytest.fixture
def dev(sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any) -> Stage:
    """Return dev, where a wiki runs on a database; its address belongs to dev alone."""
    from_here = {**SCHEMA, "required": ["hostname"]}
    publish("sql", "1.0.0", kind="service")
    publish("wiki", "1.2.0", depends=[needs("sql", "^1.0", "db")], spec={"configSchema": from_here})
    publish("board", "1.0.0")
    dev = Stage(organization, "dev", org_admin)
    dev.do(install=(Install(blueprint="bp-wiki", config={"title": "Old", "hostname": "dev.example"}),))
    return dev


@pytest.fixture
def reader(dev: Stage, client: Client) -> Client:
    client.force_login(dev.person)
    return client


def as_member(organization: Organization, role: str) -> Client:
    client = Client()
    client.force_login(MembershipFactory.create(organization=organization, role=role).user)
    return client


def test_the_list_says_what_is_where(dev: Stage, reader: Client) -> None:
    publish_events()

    html = page(reader, LIST)

    for text in ["Development", "acme-dev", "No Plan yet", "2 applications", "install wiki", "Create an environment"]:
        assert text in html, text
    assert 'value="dev"' not in html


def test_an_administrator_creates_what_is_missing(dev: Stage, reader: Client, organization: Organization) -> None:
    answer = reader.post(LIST, {"env_type": "stg"})

    assert (answer.status_code, Environment.objects.count()) == (303, 2)
    assert "acme-stg is there. It needs a Plan before anything can be installed in it." in page(reader, LIST)
    refused = reader.post(LIST, {"env_type": "stg"})
    assert (refused.status_code, Environment.objects.count()) == (409, 2)
    assert reader.post(LIST, {"env_type": "abcd"}).status_code == 422
    assert as_member(organization, Membership.Role.DEVELOPER).post(LIST, {"env_type": "uat"}).status_code == 403
    assert Environment.objects.count() == 2


def test_without_any_it_says_where_the_first_comes_from(
    sovereign: Sovereign, organization: Organization, org_admin: User, client: Client
) -> None:
    client.force_login(org_admin)

    assert "No environments yet" in page(client, LIST)


def test_a_broken_list_is_said(dev: Stage, reader: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: Any, **_more: Any) -> None:
        raise OperationalError

    monkeypatch.setattr(environment_pages, "last_changes", fail)

    html = page(reader, LIST, 503)

    assert "They are not affected." in html
    assert "Create an environment" not in html


def test_an_installation_becomes_a_preview(dev: Stage, reader: Client) -> None:
    html = page(reader, f"{INSTALL}?blueprint=bp-board")
    assert '<option value="bp-board" selected>Board</option>' in html

    answer = reader.post(INSTALL, {"blueprint": "bp-board", "name": "news", "size": "small", "reason": "For all."})

    assert answer.status_code == 303
    looked = page(reader, answer["Location"])
    for text in ["install news (bp-board 1.0.0)", "For all.", ">Apply<"]:
        assert text in looked, text
    assert Application.objects.count() == 2


@pytest.mark.parametrize(
    ("sent", "status", "text"),
    [
        ({"blueprint": ""}, 422, "There is a problem"),
        ({"name": "No Name"}, 422, "Use lower case letters, digits and hyphens, a letter first."),
        ({"version": "nonsense"}, 422, "nonsense"),
    ],
)
def test_what_cannot_be_installed_comes_back(reader: Client, sent: dict[str, str], status: int, text: str) -> None:
    answer = reader.post(INSTALL, {"blueprint": "bp-board", "size": "small", **sent})

    assert (answer.status_code, ChangePreview.objects.count()) == (status, 1)
    assert text in answer.content.decode()


def test_a_promotion_asks_for_what_stays_behind_and_becomes_a_preview(
    dev: Stage, reader: Client, organization: Organization, org_admin: User
) -> None:
    Stage(organization, "stg", org_admin)
    html = page(reader, f"{PROMOTE}?from=dev")
    assert html.count('name="app"') == 2
    assert html.count("checked") == 2

    asked = reader.post(PROMOTE, {"from": "dev", "app": ["wiki", "shared-sql"]})

    assert asked.status_code == 422
    assert 'name="value:wiki:hostname"' in asked.content.decode()
    sent = {"from": "dev", "app": ["wiki", "shared-sql"], "value:wiki:hostname": "stg.example", "reason": "Tested."}
    answer = reader.post(PROMOTE, sent)
    assert answer.status_code == 303
    looked = page(reader, answer["Location"])
    for text in ["promote from acme-dev", "Tested.", "It runs so in acme-dev.", ">Apply<"]:
        assert text in looked, text
    assert Application.objects.filter(environment__env_type="stg").count() == 0


def test_a_promotion_of_nothing_is_refused(
    dev: Stage, reader: Client, organization: Organization, org_admin: User
) -> None:
    stg = Stage(organization, "stg", org_admin)

    answer = reader.post(PROMOTE, {"from": "dev"})

    assert answer.status_code == 422
    assert "Choose at least one Application." in answer.content.decode()
    assert not ChangePreview.objects.filter(environment=stg.pk).exists()
    assert "Nothing to promote from" in page(reader, "/console/acme/dev/promote/")
    assert reader.get(f"{PROMOTE}?from=uat").status_code == 404


def test_with_rules_every_button_makes_a_preview(dev: Stage, reader: Client) -> None:
    rule_by(dev.environment(), APPROVALS, by=dev.person)
    address = "/console/acme/applications/dev/wiki/configure/"

    sent = {"config.title": "New", "config.hostname": "dev.example", "size": "small", "reason": "Nicer."}
    answer = reader.post(address, sent)

    assert answer.status_code == 303
    looked = page(reader, answer["Location"])
    for text in ["configure wiki: title", "Nicer.", "Old", "New", ">Request this change<"]:
        assert text in looked, text
    publish("wiki", "1.2.1", depends=[needs("sql", "^1.0", "db")], spec={"configSchema": SCHEMA})
    upgraded = reader.post("/console/acme/applications/dev/wiki/upgrade/", {})
    assert "1.2.0 → 1.2.1" in page(reader, upgraded["Location"])
    several = reader.post("/console/acme/dev/upgrades/", {"which": "all"})
    assert several["Location"] == upgraded["Location"]
    assert Change.objects.count() == 1


@pytest.mark.parametrize("address", [LIST, INSTALL, "/console/acme/dev/promote/"])
def test_strangers_find_nothing_and_readers_only_the_list(
    dev: Stage, organization: Organization, stranger: User, address: str
) -> None:
    client = Client()
    client.force_login(stranger)
    assert (client.get(address).status_code, client.post(address).status_code) == (404, 404)

    viewer = as_member(organization, Membership.Role.VIEWER)
    assert viewer.get(address).status_code == (200 if address == LIST else 403)
    assert viewer.post(address, {"env_type": "uat"}).status_code == 403
