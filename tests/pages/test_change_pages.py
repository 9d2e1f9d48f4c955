"""A change is looked at, applied, found in the history and taken back, in the console; by role and without scripts."""

import re
import shutil
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from billing.views import history as history_pages
from catalyst.core.gitops.repository import open_repository
from marketplace.models import Application, Change, ChangePreview
from marketplace.services.changes_commit import commit_changes
from marketplace.services.changes_repository import repository_path
from tenancy.models import Membership, Organization, Sovereign, User
from tests.factories import MembershipFactory
from tests.marketplace.deliver_rows import Desk
from tests.marketplace.policy_rows import APPROVALS, rule_by
from tests.marketplace.upgrade_rows import needs, publish, ready, settings_of
from tests.pages.test_console import page

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("nothing_is_sold")]

HISTORY = "/console/acme/prod/changes/"
WIKI = "/console/acme/applications/prod/wiki/"


@pytest.fixture
def desk(sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any) -> Desk:
    """Sell a wiki on a shared database; it runs."""
    publish("sql", "1.0.0", kind="service")
    publish("wiki", "1.2.0", depends=[needs("sql", "^1.0", "db")], spec={"configSchema": settings_of("title")})
    desk = Desk(organization, org_admin)
    ready(desk, desk.deliver(desk.order("OMN-2026-000001", "bp-wiki")))
    return desk


@pytest.fixture
def reader(desk: Desk, client: Client) -> Client:
    client.force_login(desk.buyer)
    return client


def as_member(organization: Organization, role: str) -> Client:
    client = Client()
    client.force_login(MembershipFactory.create(organization=organization, role=role).user)
    return client


def ask(client: Client, act: str) -> str:
    """Press a button of the Application's page and return where the preview is."""
    answer = client.post(f"{WIKI}ask/", {"act": act, "reason": "Holidays."})
    assert answer.status_code == 303
    return str(answer["Location"])


def save() -> Change:
    """Do what the worker does for the newest Change."""
    change = Change.objects.latest("created_at")
    commit_changes(environment_id=change.environment_id, owner="worker-1", now=timezone.now())
    change.refresh_from_db()
    return change


def test_a_button_leads_to_a_preview_and_nothing_happens(desk: Desk, reader: Client) -> None:
    address = ask(reader, "pause")

    html = page(reader, address)

    assert address == f"/console/acme/prod/previews/{ChangePreview.objects.get().pk}/"
    for text in ["pause wiki", "Holidays.", ">changed<", ">Apply<", "Ready to apply", "apps/wiki/application.yaml"]:
        assert text in html, text
    assert (Change.objects.count(), Application.objects.get(slug="wiki").state) == (1, "active")


def test_applying_makes_the_change_and_shows_it(desk: Desk, reader: Client) -> None:
    address = ask(reader, "pause")

    answer = reader.post(address)

    change = save()
    where = f"{HISTORY}{change.pk}/"
    assert (answer.status_code, answer["Location"]) == (303, where)
    html = page(reader, where)
    for text in ["pause wiki", "Holidays.", desk.buyer.display_name, change.commit, "Roll back this change"]:
        assert text in html, text
    assert "+  state: &quot;paused&quot;" in page(reader, f"{where}?diff=yes")
    listed = page(reader, HISTORY)
    assert listed.index("pause wiki") < listed.index("install wiki (bp-wiki 1.2.0)")
    assert "OMN-2026-000001" in listed
    assert "This was applied." in page(reader, address)


def test_the_same_preview_is_applied_once(desk: Desk, reader: Client) -> None:
    address = ask(reader, "pause")

    first, second = reader.post(address), reader.post(address)

    assert (first["Location"], Change.objects.count()) == (second["Location"], 2)


def test_a_stale_preview_comes_back_as_the_new_one(desk: Desk, reader: Client) -> None:
    stale = ask(reader, "pause")
    reader.post(f"{WIKI}configure/", {"config.title": "A", "size": "medium"})
    save()

    answer = reader.post(stale)

    html = answer.content.decode()
    assert (answer.status_code, Change.objects.count()) == (409, 2)
    assert "Something changed since you looked" in html
    newest = ChangePreview.objects.latest("created_at")
    assert f"/console/acme/prod/previews/{newest.pk}/" in html
    assert stale != f"/console/acme/prod/previews/{newest.pk}/"


def test_a_removal_says_what_becomes_of_data(desk: Desk, reader: Client) -> None:
    html = page(reader, ask(reader, "remove"))

    assert "Its data is kept for 14 days after it is gone, then it is deleted for good." in html
    assert ">Apply and remove<" in html


def test_what_stands_in_the_way_comes_first_and_has_no_button(desk: Desk, reader: Client) -> None:
    answer = reader.post("/console/acme/applications/prod/shared-sql/ask/", {"act": "remove"})

    html = page(reader, answer["Location"])

    assert html.index("It cannot be applied like this") < html.index("What changes")
    assert "shared-sql is needed: wiki → shared-sql." in html
    assert ">Apply" not in html
    refused = reader.post(answer["Location"])
    assert (refused.status_code, Change.objects.count()) == (409, 1)


def test_a_rule_makes_it_wait_and_it_can_be_cancelled(desk: Desk, reader: Client) -> None:
    rule_by(desk.environment(), {**APPROVALS, "minApprovals": 1}, by=desk.buyer)
    address = ask(reader, "pause")
    assert ">Request this change<" in page(reader, address)

    where = reader.post(address)["Location"]

    html = page(reader, where)
    assert "What is still missing" in html
    assert 'id="waiting"' in page(reader, HISTORY)
    answer = reader.post(f"{where}cancel/")
    assert (answer.status_code, Change.objects.latest("created_at").state) == (303, "cancelled")
    assert "It is cancelled. Nothing was changed." in page(reader, where)


def test_going_back_makes_a_preview(desk: Desk, reader: Client) -> None:
    first = Change.objects.get()
    reader.post(ask(reader, "pause"))
    save()
    reader.post(f"{WIKI}configure/", {"config.title": "A", "size": "medium"})
    change = save()

    undone = reader.post(f"{HISTORY}{change.pk}/back/")
    back = reader.post(f"{HISTORY}{first.pk}/back/", {"to": "here"})

    assert "roll back #3: wiki" in page(reader, undone["Location"])
    assert "go back to #1: wiki" in page(reader, back["Location"])
    assert Change.objects.count() == 3


def test_the_past_is_shown_as_past(desk: Desk, reader: Client) -> None:
    first = Change.objects.get()
    assert "This is the newest saved state." in page(reader, f"/console/acme/prod/at/{first.commit}/")
    reader.post(ask(reader, "pause"))
    change = save()

    then = page(reader, f"/console/acme/prod/at/{first.commit}/")
    now = page(reader, f"/console/acme/prod/at/{change.commit}/")

    assert "It is not what runs now." in then
    assert ("status-grey" in then, "status-grey" in now) == (False, True)
    page(reader, f"/console/acme/prod/at/{'0' * 40}/", 404)


def test_an_unreadable_repository_breaks_only_its_panel(desk: Desk, reader: Client) -> None:
    change = Change.objects.get()
    place = repository_path(desk.environment())
    shutil.move(place, place.with_suffix(".gone"))

    html = page(reader, f"{HISTORY}{change.pk}/?diff=yes", 503)

    assert "We couldn&#x27;t read the files." in html or "We couldn't read the files." in html
    assert change.commit in html
    page(reader, f"{HISTORY}{change.pk}/")
    page(reader, f"/console/acme/prod/at/{change.commit}/", 503)
    assert not place.exists()
    shutil.move(place.with_suffix(".gone"), place)
    assert open_repository(place).head() == change.commit


def test_a_broken_history_is_said_and_the_rest_stays(reader: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: Any, **_more: Any) -> None:
        raise OperationalError

    monkeypatch.setattr(history_pages, "list_history", fail)

    html = page(reader, HISTORY, 503)

    assert "Nothing of it is lost." in html


def test_the_history_has_pages_and_a_filter(desk: Desk, reader: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_pages, "_PER_PAGE", 1)
    reader.post(ask(reader, "pause"))
    save()

    html = page(reader, HISTORY)

    older = re.search(r'href="(\?before=[0-9a-f-]+)"', html)
    assert older is not None
    assert "install wiki" not in html
    assert "install wiki" in page(reader, f"{HISTORY}{older[1]}")
    assert "install wiki" in page(reader, f"{HISTORY}?app=shared-sql")
    assert "No change touched nobody." in page(reader, f"{HISTORY}?app=nobody")


@pytest.mark.parametrize(("role", "status"), [(Membership.Role.VIEWER, 200), (Membership.Role.BILLING, 403)])
def test_who_may_look_and_who_may_not(
    desk: Desk, organization: Organization, reader: Client, role: str, status: int
) -> None:
    address = ask(reader, "pause")
    change = Change.objects.get()
    client = as_member(organization, role)

    for each in (HISTORY, f"{HISTORY}{change.pk}/", f"/console/acme/prod/at/{change.commit}/", address):
        assert client.get(each).status_code == status, each
    for each in (
        address,
        f"{HISTORY}{change.pk}/cancel/",
        f"{HISTORY}{change.pk}/retry/",
        f"{HISTORY}{change.pk}/back/",
    ):
        assert client.post(each).status_code == 403, each
    assert Change.objects.count() == 1


def test_strangers_find_nothing(desk: Desk, reader: Client, stranger: User) -> None:
    address = ask(reader, "pause")
    change = Change.objects.get()
    client = Client()
    client.force_login(stranger)

    for each in (HISTORY, f"{HISTORY}{change.pk}/", f"/console/acme/prod/at/{change.commit}/", address):
        assert client.get(each).status_code == 404, each
        assert client.post(address).status_code == 404


def test_a_failed_change_is_tried_again_by_whoever_may(desk: Desk, organization: Organization, reader: Client) -> None:
    change = Change.objects.get()
    Change.objects.update(state="failed", status_reason="The cluster did not answer.")
    assert "Try it again" in page(reader, f"{HISTORY}{change.pk}/")
    assert "Try it again" not in page(as_member(organization, Membership.Role.VIEWER), f"{HISTORY}{change.pk}/")

    answer = reader.post(f"{HISTORY}{change.pk}/retry/")

    change.refresh_from_db()
    assert (answer.status_code, change.state) == (303, "reconciling")


def test_everything_stands_in_arabic(desk: Desk, reader: Client, settings: Any) -> None:
    User.objects.filter(pk=desk.buyer.pk).update(language="ar")
    address = ask(reader, "pause")

    html = page(reader, address)

    assert '<html lang="ar" dir="rtl"' in html
