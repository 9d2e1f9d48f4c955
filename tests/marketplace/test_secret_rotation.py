"""Secrets by API and page: who sees their names, who types one, who has one made anew, and that no value is shown."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from catalyst.core.models import Outbox
from marketplace.models import Application, ApplicationSecret
from marketplace.services.secret_delivery import deliver_due
from marketplace.services.secret_provision import provide_secrets
from tenancy.models import AuditEntry, Membership, Organization, User
from tests.factories import MembershipFactory
from tests.marketplace.deliver_rows import NOW, Desk
from tests.marketplace.upgrade_rows import publish, ready, settings_of
from tests.secret_store import SandboxStore

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sovereign", "catalyst_home")]

PATH = "org/acme/env/prod/wiki"
API = "/api/v1/organizations/acme/environments/prod/applications/wiki/secrets/"
PAGE = "/console/acme/applications/prod/wiki/secrets/"
CANARY = "Canary-4711-swordfish"
MAIL = {"type": "string", "title": "Mail password", "x-catalyst-ui-hint": "password"}
READS = """apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: NAME}
spec:
  refreshInterval: 1h
  target: {name: NAME}
  data:
    - {secretKey: KEY, remoteRef: {key: placeholder, property: PROPERTY}}
"""


@pytest.fixture
def desk(organization: Organization, org_admin: User, secret_store: SandboxStore) -> Desk:
    """Install a wiki that reads a key that may be rotated, one that may not, and a password that a person types."""
    schema = {"configSchema": settings_of("title", mailPassword=MAIL)}
    version = publish("wiki", "1.2.0", spec={**schema, "rotation": [{"kind": "key", "name": "app-api", "ttl": "90d"}]})
    reads = [("app-api", "apiKey"), ("app-data", "dataKey"), ("app-mail", "mailPassword")]
    version.files = with_secrets(version.files, reads)
    # The files of a published version never change; this one is not published yet, as far as the test goes.
    version.pk, version.version, version.patch, version.digest = None, "1.2.1", 1, "sha256:" + "1" * 64
    version.contract["metadata"]["version"] = "1.2.1"
    version.files["blueprint.yaml"] = json.dumps(version.contract)
    version.save(force_insert=True)
    desk = Desk(organization, org_admin)
    ready(desk, desk.deliver(desk.order("OMN-2026-000001", "bp-wiki")))
    environment = desk.environment()
    provide_secrets(environment_id=environment.pk, commit=environment.head_commit, now=NOW)
    return desk


def with_secrets(files: dict[str, str], reads: list[tuple[str, str]]) -> dict[str, str]:
    base, moves = "manifests/base/kustomization.yaml", json.loads(files["manifests/base/replacements.yaml"])
    documents = [
        READS.replace("NAME", name).replace("PROPERTY", key).replace("KEY", key.upper()) for name, key in reads
    ]
    targets = [
        {"select": {"kind": "ExternalSecret", "name": name}, "fieldPaths": ["spec.data.0.remoteRef.key"]}
        for name, _key in reads
    ]
    source = {"kind": "ConfigMap", "name": "catalyst-values", "fieldPath": "data.secretPath"}
    return files | {
        base: files[base].replace("resources: [", "resources: [more.yaml, "),
        "manifests/base/more.yaml": "---\n".join(documents),
        "manifests/base/replacements.yaml": json.dumps([*moves, {"source": source, "targets": targets}]),
    }


def member(desk: Desk, role: str) -> User:
    return MembershipFactory.create(organization=desk.organization, role=role).user


def test_the_list_says_names_and_age(desk: Desk, api_as: Callable[..., APIClient]) -> None:
    said = {each["name"]: each for each in api_as(member(desk, Membership.Role.VIEWER)).get(API).json()}

    assert sorted(said) == ["apiKey", "dataKey", "mailPassword"]
    assert (said["mailPassword"]["set_at"], said["mailPassword"]["is_generated"]) == (None, False)
    assert said["apiKey"]["rotate_by"] == "2027-02-21T12:00:00.654321Z"
    assert said["apiKey"]["delivered_at"] is not None
    assert (said["dataKey"]["rotate_by"], said["dataKey"]["is_generated"]) == (None, True)


def test_a_typed_one_is_set_and_reaches_the_store(
    desk: Desk, api_as: Callable[..., APIClient], secret_store: SandboxStore
) -> None:
    api = api_as(member(desk, Membership.Role.DEVELOPER))

    answer = api.put(f"{API}mailPassword/", {"value": f" {CANARY} "}, format="json")

    assert answer.status_code == 200
    assert CANARY not in answer.content.decode()
    deliver_due(now=NOW)
    assert secret_store.data(PATH)["mailPassword"] == f" {CANARY} "


def test_rotated_it_is_another_value_and_a_fact(
    desk: Desk, api_as: Callable[..., APIClient], secret_store: SandboxStore
) -> None:
    before = secret_store.data(PATH)
    officer = member(desk, Membership.Role.SECURITY)

    answer = api_as(officer).post(f"{API}apiKey/rotate/", {}, format="json")

    assert (answer.status_code, answer.json()["delivered_at"]) == (200, None)
    deliver_due(now=NOW)
    after = secret_store.data(PATH)
    assert after["apiKey"] != before["apiKey"]
    assert len(after["apiKey"]) == 32
    assert after["dataKey"] == before["dataKey"]
    entry = AuditEntry.objects.get(action="secret.rotated")
    assert (entry.actor, entry.detail) == (f"user:{officer.uuid}", {"application": "wiki", "secret": "apiKey"})
    assert Outbox.objects.filter(topic="secret.set").last().payload["names"] == ["apiKey"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("dataKey", 409, "secret_not_rotated"),
        ("mailPassword", 404, "not_found"),
        ("nothing", 404, "not_found"),
    ],
)
def test_what_cannot_be_rotated_stays(
    desk: Desk, api_as: Callable[..., APIClient], name: str, status: int, code: str
) -> None:
    before = list(ApplicationSecret.objects.values())

    answer = api_as(desk.buyer).post(f"{API}{name}/rotate/", {}, format="json")

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert list(ApplicationSecret.objects.values()) == before


@pytest.mark.parametrize(
    ("role", "writes", "rotates"),
    [
        (Membership.Role.ADMIN, 303, 303),
        (Membership.Role.DEVELOPER, 303, 303),
        (Membership.Role.SECURITY, 403, 303),
        (Membership.Role.VIEWER, 403, 403),
        (Membership.Role.BILLING, 403, 403),
    ],
)
def test_who_may(desk: Desk, client: Client, role: str, writes: int, rotates: int) -> None:
    client.force_login(member(desk, role))

    asked = [{"action": "set", "name": "mailPassword", "value": CANARY}, {"action": "rotate", "name": "apiKey"}]
    assert [client.post(PAGE, each).status_code for each in asked] == [writes, rotates]
    changed = AuditEntry.objects.filter(action__in=["secret.written", "secret.rotated"]).count()
    assert changed == [writes, rotates].count(303)


def test_a_stranger_finds_nothing(desk: Desk, client: Client, stranger: User, api_as: Callable[..., APIClient]) -> None:
    client.force_login(stranger)
    api = api_as(stranger)

    answers = [client.get(PAGE), client.post(PAGE, {"action": "rotate", "name": "apiKey"}), api.get(API)]
    answers += [api.put(f"{API}mailPassword/", {"value": CANARY}, format="json")]
    assert [answer.status_code for answer in answers] == [404] * 4
    assert not AuditEntry.objects.filter(action__in=["secret.written", "secret.rotated"]).exists()


def test_the_page_shows_what_it_may(desk: Desk, client: Client, secret_store: SandboxStore) -> None:
    client.force_login(desk.buyer)
    secret_store.server.is_sealed = True
    client.post(PAGE, {"action": "rotate", "name": "apiKey"})

    html = client.get(PAGE).content.decode()

    for text in (
        "Made by the platform on 23 Nov 2026.",
        "Saved, waiting for the secret store.",
        "Not set",
        "A new value was made. The Application has it after its next restart.",
    ):
        assert text in html, text
    assert html.count('value="rotate"') == 1
    assert [value for value in secret_store.data(PATH).values() if value in html] == []


def test_the_application_says_what_it_waits_for(desk: Desk, client: Client, secret_store: SandboxStore) -> None:
    client.force_login(desk.buyer)
    home = PAGE.removesuffix("secrets/")
    missing, waiting = "It waits for a secret that nobody has typed.", "Its secrets are saved and wait for the secret"
    html = client.get(home).content.decode()
    assert (missing in html, waiting in html, f'href="{PAGE}"' in html) == (False, False, True)

    Application.objects.filter(slug="wiki").update(config={"mailPassword": {"secret": "mailPassword"}})
    assert missing in client.get(home).content.decode()
    assert "Nobody has typed it yet. The Application waits for it." in client.get(PAGE).content.decode()
    client.post(PAGE, {"action": "set", "name": "mailPassword", "value": CANARY})
    html = client.get(home).content.decode()
    assert (missing in html, waiting in html) == (False, True)
    deliver_due(now=NOW)
    assert waiting not in client.get(home).content.decode()


def test_the_page_says_what_is_refused(desk: Desk, client: Client, settings: Any) -> None:
    client.force_login(desk.buyer)
    empty = client.post(PAGE, {"action": "set", "name": "mailPassword", "value": ""})
    assert (empty.status_code, "Write a secret of 1 to 8192 characters." in empty.content.decode()) == (422, True)
    settings.SECRET_STORE = ""

    html = client.get(PAGE).content.decode()

    assert "no secret store" in html
    assert 'type="password"' not in html


def test_the_page_without_secrets(organization: Organization, org_admin: User, client: Client) -> None:
    publish("wiki", "1.2.0")
    desk = Desk(organization, org_admin)
    ready(desk, desk.deliver(desk.order("OMN-2026-000001", "bp-wiki")))
    client.force_login(org_admin)

    assert "This Application has no secrets." in client.get(PAGE).content.decode()
