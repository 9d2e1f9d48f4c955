"""The page that configures one Application: what it shows, what it saves, and what it refuses."""

import logging
from typing import Any

import pytest
from django.db import connection
from django.http import QueryDict
from django.test import Client

from catalyst.core.crypto import unseal
from marketplace.models import Application, ApplicationEdit, ApplicationSecret, Change
from marketplace.services.changes_commit import commit_changes
from tenancy.models import Membership, Organization, Sovereign, User
from tests.factories import MembershipFactory
from tests.marketplace.deliver_rows import LATER, Desk
from tests.marketplace.schema_cases import sent_by_browser
from tests.marketplace.upgrade_rows import needs, publish, ready, settings_of, shown_of
from tests.pages.test_console import page

pytestmark = pytest.mark.django_db(transaction=True)

WIKI = "/console/acme/applications/prod/wiki/"
CONFIGURE = f"{WIKI}configure/"
CANARY = "Canary-4711-swordfish"
SCHEMA = {
    **settings_of(
        "title",
        cache={"type": "boolean", "title": "Cache", "default": False, "x-catalyst-restart": True},
        language={"type": "string", "title": "Language", "default": "en", "x-catalyst-immutable": True},
        mailPassword={"type": "string", "title": "Mail password", "x-catalyst-ui-hint": "password"},
        hostname={"type": "string", "title": "Web address", "x-catalyst-ui-hint": "domain-picker"},
        limit={
            "type": "integer",
            "title": "Limit",
            "maximum": 9,
            "x-catalyst-advanced": True,
            "x-catalyst-i18n": {"ar": {"title": "الحد"}},
        },
    ),
    "required": ["title"],
}


@pytest.fixture
def desk(sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any) -> Desk:
    """Sell a wiki that brings a cache when it is told to."""
    publish("cache", "1.0.0", kind="service")
    publish(
        "wiki",
        "1.2.0",
        depends=[needs("cache", "^1", "cache", sharing="dedicated", when="{{ .config.cache == true }}")],
        spec={"configSchema": SCHEMA},
        shown="config.title",
    )
    desk = Desk(organization, org_admin)
    ready(desk, desk.deliver(desk.order("OMN-2026-000001", "bp-wiki", **{"bp-wiki": {"title": "Books"}})))
    return desk


@pytest.fixture
def reader(desk: Desk, client: Client) -> Client:
    client.force_login(desk.buyer)
    return client


def send(client: Client, status: int, **changes: Any) -> str:
    """Send the form as a browser without scripts does, some fields changed; return the page or the address after it."""
    fields = QueryDict(sent_by_browser(page(client, CONFIGURE).partition("<main")[2])).dict()
    answer = client.post(CONFIGURE, {**fields, **changes})
    assert answer.status_code == status
    return str(answer.headers.get("Location") or answer.content.decode())


def nothing_changed() -> bool:
    config = Application.objects.get(slug="wiki").config
    return (config, Change.objects.count(), ApplicationEdit.objects.count()) == ({"title": "Books"}, 1, 0)


def test_the_page_shows_what_is_set_and_what_cannot_be(reader: Client) -> None:
    html = page(reader, CONFIGURE)

    for text in [
        'value="Books"',
        "Default: No",
        "A change restarts the Application.",
        "Chosen at the installation; it stays as it is.",
        'type="password" id="id_config.mailPassword"',
        "wiki.acme-prod.cloud.example",
        "More settings",
        f'href="{WIKI}"',
    ]:
        assert text in html, text
    assert CONFIGURE in page(reader, WIKI)


def test_what_is_saved_becomes_one_commit(reader: Client, desk: Desk) -> None:
    assert send(reader, 303, **{"config.title": "Manuals", "config.cache": "on", "reason": "A better name."}) == WIKI

    commit_changes(environment_id=desk.environment().pk, owner="worker-1", now=LATER)
    row = Application.objects.get(slug="wiki")
    assert row.config == {"title": "Manuals", "cache": True}
    assert row.bindings == {"cache": "wiki-cache"}
    commit = desk.history()[-1]
    assert commit.message.startswith("configure wiki: cache, title; install wiki-cache (bp-cache 1.0.0)\n")
    assert "A better name." in commit.message
    assert 'values: "Manuals"' in shown_of(desk, "wiki")


def test_sent_twice_it_is_one_change(reader: Client) -> None:
    key = {"key": "a-key-of-this-page", "config.title": "Manuals", "size": "small"}

    assert [reader.post(CONFIGURE, key).status_code for _time in range(2)] == [303, 303]
    assert Change.objects.filter(kind="configure").count() == 1


def test_what_does_not_fit_comes_back_with_a_link_to_its_field(reader: Client) -> None:
    html = send(reader, 422, **{"config.title": " ", "config.limit": "10"})

    assert html.count('<a href="#id_config.title">title: Fill this in.</a>') == 1
    assert html.count('<a href="#id_config.limit">Limit: Enter 9 or less.</a>') == 1
    assert '<details class="fold" open>' in html
    assert html.count('aria-invalid="true"') == 2
    assert nothing_changed()


@pytest.mark.parametrize(
    ("fields", "status", "text"),
    [
        ({}, 409, "Nothing was changed."),
        ({"config.hostname": "bank.example.om"}, 422, "Choose a host that is proven to be yours."),
        ({"size": "huge"}, 422, "Choose small, medium or large."),
    ],
)
def test_refuses_and_changes_nothing(reader: Client, fields: dict[str, str], status: int, text: str) -> None:
    html = send(reader, status, **fields)

    assert text in html
    assert CANARY not in html
    assert nothing_changed()


def test_without_a_store_a_secret_is_refused(reader: Client, settings: Any) -> None:
    settings.SECRET_STORE = ""

    assert "Secrets cannot be set here yet" in page(reader, CONFIGURE)
    html = send(reader, 422, **{"config.mailPassword": CANARY})
    assert "This cannot be set here yet. Leave it empty." in html
    assert CANARY not in html
    assert nothing_changed()


def test_a_secret_is_sealed_and_stands_nowhere_else(
    reader: Client, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        send(reader, 303, **{"config.mailPassword": CANARY})
        commit_changes(environment_id=desk.environment().pk, owner="worker-1", now=LATER)

    row = ApplicationSecret.objects.get(name="mailPassword")
    place = f"marketplace_applicationsecret:{row.application_id}:mailPassword:ciphertext"
    assert unseal(row.ciphertext, place=place, scope=f"organization:{desk.organization.pk}") == CANARY
    assert Application.objects.get(slug="wiki").config["mailPassword"] == {"secret": "mailPassword"}
    assert tables_with(CANARY) == []
    assert tables_with(row.ciphertext) == ["marketplace_applicationsecret"]
    assert all(CANARY.encode() not in content for content in desk.tree().values())
    assert all(CANARY not in commit.message for commit in desk.history())
    assert CANARY not in caplog.text
    html = page(reader, CONFIGURE)
    assert "It is never shown. Saved, waiting for the secret store." in html
    assert CANARY not in html


def test_a_new_value_of_a_secret_is_no_change_of_git(reader: Client, desk: Desk) -> None:
    send(reader, 303, **{"config.mailPassword": "first"})
    ready(desk, _committed(desk))
    before = ApplicationSecret.objects.get().ciphertext

    send(reader, 303, **{"config.mailPassword": CANARY})

    assert ApplicationSecret.objects.get().ciphertext != before
    assert Change.objects.filter(kind="configure").count() == 1


def _committed(desk: Desk) -> Change:
    commit_changes(environment_id=desk.environment().pk, owner="worker-1", now=LATER)
    return Change.objects.get(kind="configure")


def test_who_may_not_is_refused_and_a_stranger_finds_nothing(desk: Desk, client: Client) -> None:
    viewer = MembershipFactory.create(organization=desk.organization, role=Membership.Role.VIEWER).user
    client.force_login(viewer)
    assert page(client, CONFIGURE, 403)
    assert client.post(CONFIGURE, {"config.title": "Mine"}).status_code == 403
    assert CONFIGURE not in page(client, WIKI)

    client.force_login(MembershipFactory.create().user)
    assert client.get(CONFIGURE).status_code == 404
    assert client.post(CONFIGURE, {"config.title": "Mine"}).status_code == 404
    assert nothing_changed()


def test_in_arabic(desk: Desk, client: Client) -> None:
    User.objects.filter(pk=desk.buyer.pk).update(language="ar")
    client.force_login(User.objects.get(pk=desk.buyer.pk))

    html = page(client, CONFIGURE)

    assert 'dir="rtl"' in html
    assert "الحد" in html


def tables_with(text: str) -> list[str]:
    """Return the tables in which a text stands anywhere."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename")
        names = [name for (name,) in cursor.fetchall()]
        found = []
        for name in names:
            cursor.execute(f'SELECT EXISTS (SELECT FROM "{name}" AS t WHERE t::text LIKE %s)', [f"%{text}%"])
            if (cursor.fetchone() or (False,))[0]:
                found.append(name)
    return found
