"""What Blueprints read and nobody types: made once when a commit asks for it, found where its ExternalSecret looks."""

import base64
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pygit2
import pytest
from django.utils import timezone

from catalyst.core.gitops import yaml
from catalyst.core.models import Outbox
from marketplace.models import Application, ApplicationSecret, Change
from marketplace.services.changes_repository import repository_path
from marketplace.services.secret_delivery import deliver_due
from marketplace.services.secret_provision import provide_secrets
from marketplace.services.secret_values import make_value
from tenancy.models import AuditEntry, Organization, User
from tests.marketplace.deliver_rows import NOW, Desk, open_desk
from tests.marketplace.lint_draft import good
from tests.marketplace.oci_shelf import Shelf
from tests.secret_store import SandboxStore

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sovereign", "catalyst_home")]

READS = """apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: app-key, labels: {app.kubernetes.io/component: app}}
spec:
  refreshInterval: 1h
  target: {name: app-key}
  data:
    - {secretKey: KEY, remoteRef: {key: "{{ .Values.catalyst.secretPath }}", property: appKey}}
"""
#: Those whose secrets have a form of their own, and with them one service of each kind.
CHOSEN = ("bp-wordpress", "bp-formbricks", "bp-nocodb", "bp-ghost", "bp-vaultwarden")
OWN = "org/acme/env/prod"


@pytest.fixture
def desk(organization: Organization, org_admin: User, secret_store: SandboxStore) -> Desk:
    return open_desk(organization, org_admin)


def provide(desk: Desk) -> int:
    environment = desk.environment()
    return provide_secrets(environment_id=environment.pk, commit=environment.head_commit, now=NOW)


def test_every_reference_of_the_commit_finds_its_value(desk: Desk, secret_store: SandboxStore) -> None:
    desk.deliver(desk.order("OMN-2026-000001", *CHOSEN))

    # 18 of the Applications, 3 of the services, 4 that services issue.
    assert provide(desk) == 25
    missing = [reference for reference in references(desk) if reference[1] not in secret_store.data(reference[0])]

    # A person may type it; without one Ghost sends no mail.
    assert missing == [(f"{OWN}/ghost", "mailPassword")]
    assert set(ApplicationSecret.objects.values_list("ciphertext", flat=True)) == {""}


def test_values_have_the_form_that_their_programs_want(desk: Desk, secret_store: SandboxStore) -> None:
    desk.deliver(desk.order("OMN-2026-000001", "bp-formbricks", "bp-nocodb"))
    provide(desk)

    formbricks, nocodb = secret_store.data(f"{OWN}/formbricks"), secret_store.data(f"{OWN}/nocodb")
    assert re.fullmatch(r"[0-9a-f]{64}", formbricks["encryptionKey"])
    assert re.fullmatch(r"[A-Za-z0-9]{31}!", nocodb["adminPassword"])
    for plain in (formbricks["authSecret"], nocodb["jwtSecret"]):
        assert re.fullmatch(r"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])[A-Za-z0-9]{32}", plain)
    assert len({*formbricks.values(), *nocodb.values()}) == len(formbricks) + len(nocodb)


def test_a_service_issues_a_credential_to_each_dependent(desk: Desk, secret_store: SandboxStore) -> None:
    desk.deliver(desk.order("OMN-2026-000001", "bp-wordpress", "bp-nocodb"))
    provide(desk)

    wordpress = secret_store.data(f"{OWN}/shared-mysql/wordpress")
    password = wordpress.pop("password")
    host = "app.prod-shared-mysql.svc.cluster.local"
    assert wordpress == {"host": host, "port": "3306", "username": "wordpress", "database": "wordpress"}
    nocodb = secret_store.data(f"{OWN}/shared-postgres/nocodb")
    host = "app.prod-shared-postgres.svc.cluster.local:5432"
    assert nocodb["url"] == f"postgres://nocodb:{nocodb['password']}@{host}/nocodb"
    assert nocodb["password"] != password
    # What the service reads below its own path is what it issues, one entry for each dependent.
    assert secret_store.entries.names(f"{OWN}/shared-mysql/") == ["wordpress"]


def test_a_chart_that_flux_renders_finds_its_values_too(
    desk: Desk, secret_store: SandboxStore, shelf: Shelf, tmp_path: Path
) -> None:
    draft = good()
    draft.use_chart(READS)
    draft.spec |= {"depends": []}
    for path, content in draft.contents().items():
        target = tmp_path / "handbook" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    shelf.trust()
    shelf.publish(tmp_path / "handbook")
    assert shelf.sync().refused == []
    desk.deliver(desk.order("OMN-2026-000001", "bp-handbook"), now=timezone.now())
    assert "apps/handbook/secrets.yaml" not in desk.tree()

    assert provide(desk) == 1

    assert list(secret_store.data(f"{OWN}/handbook")) == ["appKey"]


def test_again_makes_nothing(desk: Desk, secret_store: SandboxStore) -> None:
    desk.deliver()
    provide(desk)
    before = secret_store.data(f"{OWN}/wordpress")

    assert provide(desk) == 0
    assert (secret_store.data(f"{OWN}/wordpress"), secret_store.version(f"{OWN}/wordpress")) == (before, 1)


def test_what_a_volume_may_know_stays(desk: Desk, secret_store: SandboxStore) -> None:
    """A database that finds its old volume knows its old password only."""
    secret_store.driver().write(f"{OWN}/shared-mysql", {"rootPassword": "of-the-volume"}, expected=0)
    secret_store.driver().write(f"{OWN}/shared-mysql/wordpress", {"password": "known"}, expected=0)
    desk.deliver()

    provide(desk)

    assert secret_store.data(f"{OWN}/shared-mysql") == {"rootPassword": "of-the-volume"}
    assert secret_store.data(f"{OWN}/shared-mysql/wordpress")["password"] == "known"


def test_a_store_that_is_away_gets_the_same_values_later(desk: Desk, secret_store: SandboxStore) -> None:
    secret_store.server.is_sealed = True
    desk.deliver()
    provide(desk)
    kept = list(ApplicationSecret.objects.order_by("pk").values_list("ciphertext", flat=True))
    secret_store.server.is_sealed = False
    ApplicationSecret.objects.update(next_attempt_at=NOW)

    provide(desk)
    assert list(ApplicationSecret.objects.order_by("pk").values_list("ciphertext", flat=True)) == kept
    deliver_due(now=NOW)

    assert set(ApplicationSecret.objects.values_list("ciphertext", flat=True)) == {""}
    assert len(secret_store.data(f"{OWN}/wordpress")) == 9


def test_without_a_store_nothing_is_made(desk: Desk, settings: Any) -> None:
    settings.SECRET_STORE = ""
    desk.deliver()

    assert provide(desk) == 0
    assert not ApplicationSecret.objects.exists()


def test_no_value_is_anywhere_else(
    desk: Desk, secret_store: SandboxStore, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.deliver(desk.order("OMN-2026-000001", *CHOSEN))
    provide(desk)
    values = [value for path in paths(secret_store) for name, value in secret_store.data(path).items() if secret(name)]

    # Those 25, and two addresses that hold one.
    assert len(values) == 27
    places = [*blobs(desk), caplog.text, "".join(capsys.readouterr()), *rows()]
    forms = [form for value in values for form in (value, quote(value), value.encode().hex(), base64_of(value))]
    assert [form for form in forms for place in places if form in place] == []


def test_no_two_values_are_the_same() -> None:
    assert len({make_value(made_as) for made_as in ("", "hex", "symbol") for _each in range(50)}) == 150


def base64_of(value: str) -> str:
    return base64.b64encode(value.encode()).decode().rstrip("=")


def secret(name: str) -> bool:
    return name not in {"host", "port", "username", "database"}


def references(desk: Desk) -> list[tuple[str, str]]:
    """Return entry and property of everything that the ExternalSecrets of the commit read."""
    files = [content for path, content in desk.tree().items() if path.endswith("/secrets.yaml")]
    items = [item for content in files for item in yaml.load(content)["items"]]
    read = [data["remoteRef"] for item in items for data in item["spec"].get("data") or ()]
    return sorted({(each["key"], each["property"]) for each in read})


def paths(store: SandboxStore, folder: str = "") -> list[str]:
    names = store.entries.names(folder)
    below = [path for name in names if name.endswith("/") for path in paths(store, f"{folder}{name}")]
    return [*(f"{folder}{name}" for name in names if not name.endswith("/")), *below]


def blobs(desk: Desk) -> list[str]:
    raw = pygit2.Repository(str(repository_path(desk.environment())))
    return [raw[sha].read_raw().decode(errors="replace") for sha in raw]


def rows() -> list[str]:
    tables: list[Mapping[str, Any]] = []
    for model in (Outbox, AuditEntry, Change, Application, ApplicationSecret):
        tables += list(model.objects.values())
    return [str(tables)]
