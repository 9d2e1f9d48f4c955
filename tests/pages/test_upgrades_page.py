"""Several Applications are upgraded together: security first, looked at, then one Change; by role, and in Arabic."""

from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from marketplace.models import Change
from marketplace.selectors import capacity
from marketplace.selectors.capacity import Footprint
from marketplace.services.changes_commit import commit_changes
from tenancy.models import Membership, Organization, Sovereign, User
from tests.factories import MembershipFactory
from tests.marketplace.deliver_rows import Desk
from tests.marketplace.upgrade_rows import installed, needs, publish, ready
from tests.pages.test_console import APPS, page

pytestmark = pytest.mark.django_db(transaction=True)

UPGRADES = "/console/acme/prod/upgrades/"
KEY = "0123456789abcdef"
BEFORE = {"blog": "1.0.0", "shared-sql": "1.0.0", "wiki": "1.2.0"}
AFTER = {"blog": "1.1.0", "shared-sql": "1.1.0", "wiki": "1.2.1"}


@pytest.fixture
def desk(sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any) -> Desk:
    """Sell a blog and a wiki of which newer ones were published since; the wiki's closes a hole."""
    publish("sql", "1.0.0", kind="service")
    publish("blog", "1.0.0")
    publish("wiki", "1.2.0", depends=[needs("sql", "^1.0", "db")])
    desk = Desk(organization, org_admin)
    ready(desk, desk.deliver(desk.order("OMN-2026-000001", "bp-wiki", "bp-blog")))
    publish("sql", "1.1.0", kind="service")
    publish("blog", "1.1.0")
    publish("wiki", "1.2.1", depends=[needs("sql", "^1.0", "db")], is_security=True)
    return desk


@pytest.fixture
def reader(desk: Desk, client: Client) -> Client:
    client.force_login(desk.buyer)
    return client


def checked(html: str) -> list[str]:
    """Return what is marked, in the order of the page."""
    boxes = [part.split(">")[0] for part in html.split('<input type="checkbox" name="app" value="')[1:]]
    return [box.split('"')[0] for box in boxes if box.endswith(" checked")]


def test_all_are_listed_with_the_security_update_first_and_marked(reader: Client) -> None:
    html = page(reader, UPGRADES)

    places = [html.index(f'name="app" value="{name}"') for name in ("wiki", "blog", "shared-sql")]
    assert places == sorted(places)
    assert checked(html) == ["wiki"]
    assert "Upgrade now" not in html
    assert f'href="{UPGRADES}"' in page(reader, APPS)


def test_what_is_marked_moves_by_one_change_after_a_look(desk: Desk, reader: Client) -> None:
    html = page(reader, f"{UPGRADES}?app=wiki&app=blog&which=marked")
    assert (html.count("It was asked for."), checked(html)) == (2, ["wiki", "blog"])
    assert '<input type="hidden" name="app" value="blog">' in html
    assert (Change.objects.count(), installed(desk)) == (1, BEFORE)

    sent = {"key": KEY, "which": "marked", "app": ["wiki", "blog"]}
    answers = [reader.post(UPGRADES, sent) for _turn in range(2)]
    commit_changes(environment_id=desk.environment().pk, owner="worker-1", now=timezone.now())

    assert [(each.status_code, each.headers["Location"]) for each in answers] == [(303, APPS)] * 2
    assert Change.objects.filter(kind="upgrade", author=desk.buyer).count() == 1
    assert installed(desk) == {**AFTER, "shared-sql": "1.0.0"}
    assert len(desk.history()) == 2


def test_everything_goes_to_the_newest_at_once(desk: Desk, reader: Client) -> None:
    html = page(reader, f"{UPGRADES}?which=all")
    assert html.count("It was asked for.") == 3

    reader.post(UPGRADES, {"key": KEY, "which": "all"})
    assert "A change is being saved." in page(reader, UPGRADES)
    commit_changes(environment_id=desk.environment().pk, owner="worker-1", now=timezone.now())

    assert installed(desk) == AFTER
    assert "Everything has the newest version that it can have" in page(reader, UPGRADES)


def test_a_refusal_says_what_to_do_and_changes_nothing(desk: Desk, reader: Client) -> None:
    assert "Mark at least one application." in page(reader, f"{UPGRADES}?which=marked", 422)
    assert reader.post(UPGRADES, {"which": "marked"}).status_code == 422
    assert reader.post(UPGRADES, {}).status_code == 422
    assert "gone is not installed here." in page(reader, f"{UPGRADES}?which=marked&app=gone", 404)
    assert (Change.objects.count(), installed(desk)) == (1, BEFORE)


def test_what_does_not_fit_the_plan_leads_to_a_larger_one(reader: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    publish("blog", "1.2.0", footprint=(900, 100, 1))
    monkeypatch.setattr(capacity, "_sources", [lambda environment: Footprint(600, 1000, 10)])

    html = page(reader, f"{UPGRADES}?which=all")

    assert "Your Plan is too small for this." in html
    assert "Upgrade now" not in html
    assert 'href="/console/acme/billing/prod/change/"' in html


def test_what_stands_in_the_way_is_said(desk: Desk, reader: Client) -> None:
    publish("wiki", "2.0.0", depends=[needs("sql", "^1.0", "db")], spec={"upgrades": {"from": ["1.x"]}})

    html = page(reader, UPGRADES)

    assert "What stands in the way of newer ones" in html
    assert "2.0.0 is not in the range ^1.2 that was asked for." in html


def test_without_the_database_the_page_says_so(reader: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_arguments: object, **_named: object) -> None:
        raise OperationalError

    monkeypatch.setattr("billing.views.upgrades.available_upgrades", gone)

    html = page(reader, f"{UPGRADES}?which=all", 503).replace("&#x27;", "'")

    assert "We couldn't find out whether there are updates." in html
    assert "Everything has the newest" not in html


@pytest.mark.parametrize(
    ("role", "status"),
    [(Membership.Role.DEVELOPER, 200), (Membership.Role.VIEWER, 403), (Membership.Role.BILLING, 403)],
)
def test_only_who_may_change_applications_opens_it(
    desk: Desk, organization: Organization, client: Client, role: str, status: int
) -> None:
    client.force_login(MembershipFactory.create(organization=organization, role=role).user)

    page(client, UPGRADES, status)
    client.post(UPGRADES, {"which": "all"})

    assert Change.objects.filter(kind="upgrade").count() == (1 if status == 200 else 0)


def test_strangers_and_members_of_other_environments_find_nothing(
    desk: Desk, organization: Organization, stranger: User, client: Client
) -> None:
    limited = MembershipFactory.create(organization=organization, role="org-developer", env_types=["dev"]).user

    assert client.get(UPGRADES).status_code == 302
    for person in (stranger, limited):
        client.force_login(person)
        assert client.get(UPGRADES).status_code == 404
        assert client.post(UPGRADES, {"which": "all"}).status_code == 404
    assert Change.objects.count() == 1


def test_the_words_are_arabic_too(desk: Desk, client: Client) -> None:
    User.objects.filter(pk=desk.buyer.pk).update(language="ar")
    client.force_login(User.objects.get(pk=desk.buyer.pk))

    html = page(client, UPGRADES)

    assert 'dir="rtl"' in html
    assert "كل شيء إلى الأحدث" in html
