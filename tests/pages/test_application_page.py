"""The page of one Application: why this version, what is newer, and the upgrade, by role and in both languages."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from marketplace.models import Application, ApplicationStatus, Change, ClusterLook
from marketplace.selectors import capacity
from marketplace.selectors.application_state import get_state
from marketplace.selectors.capacity import Footprint
from marketplace.services.changes_commit import commit_changes
from tenancy.models import Membership, Organization, Sovereign, User
from tests.factories import MembershipFactory
from tests.marketplace.deliver_rows import Desk, publish_events
from tests.marketplace.upgrade_rows import installed, needs, publish, ready
from tests.pages.test_console import page

pytestmark = pytest.mark.django_db(transaction=True)

APPS = "/console/acme/applications/"
WIKI, SQL = f"{APPS}prod/wiki/", f"{APPS}prod/shared-sql/"
UPGRADE = f"{WIKI}upgrade/"


@pytest.fixture
def desk(sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any) -> Desk:
    """Sell a wiki of which a security fix was published since, that moves its database."""
    publish("sql", "1.0.0", kind="service")
    publish("wiki", "1.2.0", depends=[needs("sql", "^1.0", "db")])
    desk = Desk(organization, org_admin)
    ready(desk, desk.deliver(desk.order("OMN-2026-000001", "bp-wiki")))
    publish("sql", "1.1.0", kind="service")
    publish(
        "wiki",
        "1.2.1",
        depends=[needs("sql", "^1.1", "db")],
        footprint=(200, 100, 1),
        is_security=True,
        changelog="### Security\n- Closes a hole <script>.",
    )
    return desk


@pytest.fixture
def reader(desk: Desk, client: Client) -> Client:
    client.force_login(desk.buyer)
    return client


def test_the_list_says_that_there_is_an_update(reader: Client) -> None:
    html = page(reader, APPS)

    assert (html.count("Security update"), html.count(">Update<")) == (1, 1)
    assert f'href="{WIKI}"' in html
    assert f'href="{SQL}"' in html


def test_the_page_says_why_and_what_is_newer(reader: Client) -> None:
    html = page(reader, WIKI)

    for text in [
        "Security update",
        "<li>Closes a hole &lt;script&gt;.</li>",
        "These move with it:",
        "Why this version?",
        "^1.2",
        "install wiki (bp-wiki 1.2.0)",
        "1.2.1 can be had: upgrade wiki.",
        f'href="{UPGRADE}"',
    ]:
        assert text in html, text
    assert "###" not in html


def test_a_service_says_who_needs_it(reader: Client) -> None:
    html = page(reader, SQL)

    assert "Needed by" in html
    assert "^1.0" in html
    assert "1.1.0 can be had: upgrade shared-sql." in html


def test_nothing_newer_is_said_as_such(desk: Desk, reader: Client) -> None:
    reader.post(UPGRADE)
    commit_changes(environment_id=desk.environment().pk, owner="worker-1", now=timezone.now())

    html = page(reader, WIKI)

    assert "There is no newer version that it could have." in html
    assert "No newer version was published." in html
    assert "upgrade wiki (bp-wiki 1.2.0 → 1.2.1), shared-sql (bp-sql 1.0.0 → 1.1.0)" in html


def test_an_upgrade_is_looked_at_and_then_confirmed(desk: Desk, reader: Client) -> None:
    html = page(reader, UPGRADE)
    for text in ["It was asked for.", "Needed by wiki 1.2.1 (^1.1).", "What it takes", "Upgrade now"]:
        assert text in html, text
    assert Change.objects.count() == 1

    answer = reader.post(UPGRADE, {"key": "0123456789abcdef", "range": ""})
    again = reader.post(UPGRADE, {"key": "0123456789abcdef", "range": ""})

    assert (answer.status_code, answer.headers["Location"], again.status_code) == (303, WIKI, 303)
    assert Change.objects.filter(kind="upgrade", author=desk.buyer).count() == 1
    html = page(reader, WIKI)
    assert "A change is being saved. Reload this page in a moment." in html
    assert "The upgrade has begun." in html
    commit_changes(environment_id=desk.environment().pk, owner="worker-1", now=timezone.now())
    assert installed(desk) == {"shared-sql": "1.1.0", "wiki": "1.2.1"}


def test_a_version_outside_the_range_can_be_asked_for(desk: Desk, reader: Client) -> None:
    publish("wiki", "2.0.0", depends=[needs("sql", "^1.1", "db")], spec={"upgrades": {"from": ["1.x"]}})
    html = page(reader, WIKI)
    assert f'href="{UPGRADE}?range=%5E2.0.0"' in html

    html = page(reader, f"{UPGRADE}?range=%5E2.0.0")
    assert 'name="range" value="^2.0.0"' in html
    reader.post(UPGRADE, {"range": "^2.0.0"})

    assert Change.objects.get(kind="upgrade").edits.get(application__slug="wiki").version_range == "^2.0.0"


def test_a_suspended_environment_is_not_upgraded(desk: Desk, reader: Client) -> None:
    desk.tell("suspended", 20)

    assert "This Environment is suspended. Pay what is due" in page(reader, UPGRADE, 409)


def test_a_refusal_says_what_to_do(reader: Client) -> None:
    html = page(reader, f"{SQL}upgrade/?range=^9", 422)

    assert 'role="alert"' in html
    assert "Upgrade now" not in html
    assert reader.post(f"{UPGRADE}", {"range": "v1"}).status_code == 422
    assert Change.objects.count() == 1


def test_what_does_not_fit_the_plan_leads_to_a_larger_one(reader: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "_sources", [lambda environment: Footprint(600, 1000, 10)])

    html = page(reader, UPGRADE)

    assert "Your Plan is too small for this." in html
    assert "Upgrade now" not in html
    assert 'href="/console/acme/billing/prod/change/"' in html
    assert reader.post(UPGRADE).status_code == 409


def test_a_change_that_failed_says_why(desk: Desk, reader: Client) -> None:
    reader.post(UPGRADE)
    Change.objects.filter(kind="upgrade").update(state="failed", status_reason="The manifests do not build.")

    html = page(reader, WIKI)

    assert "The last change could not be made." in html
    assert "The manifests do not build." in html


@pytest.mark.parametrize(
    ("role", "shown", "upgrade"),
    [
        (Membership.Role.DEVELOPER, 200, 200),
        (Membership.Role.VIEWER, 200, 403),
        (Membership.Role.BILLING, 403, 403),
    ],
)
def test_each_role_opens_its_pages(
    desk: Desk, organization: Organization, client: Client, role: str, shown: int, upgrade: int
) -> None:
    client.force_login(MembershipFactory.create(organization=organization, role=role).user)

    html = page(client, WIKI, shown)

    assert (f'href="{UPGRADE}"' in html) == (upgrade == 200)
    page(client, UPGRADE, upgrade)
    assert client.post(UPGRADE).status_code == (303 if upgrade == 200 else 403)
    assert Change.objects.filter(kind="upgrade").count() == (1 if upgrade == 200 else 0)


@pytest.mark.parametrize("address", [WIKI, UPGRADE, f"{APPS}prod/nothing/", f"{APPS}dev/wiki/"])
def test_strangers_and_missing_ones_look_alike(desk: Desk, stranger: User, client: Client, address: str) -> None:
    assert client.get(address).status_code == 302

    client.force_login(stranger)
    assert client.get(address).status_code == 404
    client.force_login(desk.buyer)
    expected = 404 if address in {f"{APPS}prod/nothing/", f"{APPS}dev/wiki/"} else 200
    assert client.get(address).status_code == expected


def test_a_member_of_other_environments_finds_nothing(desk: Desk, organization: Organization, client: Client) -> None:
    limited = MembershipFactory.create(organization=organization, role="org-developer", env_types=["dev"]).user
    client.force_login(limited)

    assert client.get(WIKI).status_code == 404


def test_the_words_are_arabic_too(desk: Desk, client: Client) -> None:
    User.objects.filter(pk=desk.buyer.pk).update(language="ar")
    client.force_login(User.objects.get(pk=desk.buyer.pk))

    html = page(client, WIKI)

    assert 'dir="rtl"' in html
    assert "لماذا هذا الإصدار؟" in html
    assert "تحديث أمني" in html


def test_the_card_says_how_it_is(desk: Desk, reader: Client) -> None:
    html = page(reader, WIKI)

    for text in ["How it is", "Last checked", f'href="{SQL}"', ">Pause<", ">Remove<", "Last change"]:
        assert text in html, text
    assert "Saved, but not applied yet." not in html
    assert f'href="{WIKI}"' in page(reader, SQL)


def test_what_is_saved_and_not_applied_is_said(desk: Desk, reader: Client) -> None:
    reader.post(UPGRADE, {"key": "0123456789abcdef"})
    commit_changes(environment_id=desk.environment().pk, owner="worker-1", now=timezone.now())
    publish_events()

    assert "Saved, but not applied yet." in page(reader, WIKI)


def test_word_that_is_old_is_shown_as_old_and_then_as_nothing_known(desk: Desk, reader: Client) -> None:
    row = Application.objects.select_related("environment", "change").get(slug="wiki")
    status = ApplicationStatus.objects.get(application="wiki")
    seen_at = status.observed_at
    assert seen_at is not None
    ClusterLook.objects.update_or_create(
        environment=row.environment, defaults={"seen_at": seen_at, "began_at": seen_at}
    )

    after = [get_state(row, status, now=seen_at + timedelta(seconds=age)) for age in (60, 61, 300, 301)]

    assert [each.is_old for each in after] == [False, True, True, True]
    assert [each.status for each in after] == ["ready", "ready", "ready", "unknown"]
