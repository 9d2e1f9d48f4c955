"""A secret on its way into the store: it arrives once, the newest wins, and then nothing of it is left here."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from catalyst.core.failpoints import Crash, armed, crash
from catalyst.core.models import Incident, Outbox
from catalyst.local.sandbox_secrets.server import Fault
from marketplace.models import Application, ApplicationSecret
from marketplace.services import secret_delivery
from marketplace.services.application_secrets import sealed_value, write_secret
from marketplace.services.secret_delivery import PATIENCE, deliver_due, deliver_entry
from tenancy.models import AuditEntry, Organization, User
from tests.marketplace.deliver_rows import NOW
from tests.marketplace.test_application_secrets import install
from tests.marketplace.test_deliver_order import at_once
from tests.secret_store import SandboxStore

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sovereign")]

PATH = "org/acme/env/prod/wiki"
POINTS = ["secret.deliver.before_write", "secret.deliver.after_write", "secret.deliver.in_tx"]


@pytest.fixture
def wiki(organization: Organization, org_admin: User, secret_store: SandboxStore) -> Application:
    assert organization.slug == "acme"
    return install(organization, org_admin)


def write(wiki: Application, value: str, **changes: Any) -> ApplicationSecret:
    author = wiki.change.author
    assert author is not None
    return write_secret(application=wiki, actor=author, **{"name": "mailPassword", "now": NOW, **changes}, value=value)


def deliver(wiki: Application) -> bool:
    return deliver_entry(application_id=wiki.pk, issuer="", now=NOW)


def test_a_death_while_it_is_set_leaves_everything_as_it_was(wiki: Application, secret_store: SandboxStore) -> None:
    write(wiki, "first")
    before = [list(model.objects.values()) for model in (ApplicationSecret, Outbox, AuditEntry)]

    with armed("secret.set.in_tx", crash), pytest.raises(Crash):
        write(wiki, "second")

    assert [list(model.objects.values()) for model in (ApplicationSecret, Outbox, AuditEntry)] == before


def test_two_that_type_the_first_value_at_once_are_both_heard(wiki: Application, secret_store: SandboxStore) -> None:
    rows = at_once(partial(write, wiki, "one"), partial(write, wiki, "two"))
    assert [row for row in rows if isinstance(row, Exception)] == []

    deliver(wiki)

    assert ApplicationSecret.objects.count() == 1
    assert secret_store.data(PATH)["mailPassword"] in {"one", "two"}
    assert AuditEntry.objects.filter(action="secret.written").count() == 2


def test_it_arrives_and_is_forgotten(wiki: Application, secret_store: SandboxStore) -> None:
    row = write(wiki, "first")

    assert deliver(wiki)

    row.refresh_from_db()
    assert secret_store.data(PATH) == {"mailPassword": "first"}
    assert (row.ciphertext, row.delivered_at, row.last_error) == ("", NOW, "")
    topics = list(Outbox.objects.order_by("id").values_list("topic", flat=True))
    assert topics == ["secret.set", "secret.delivered"]


def test_what_others_keep_there_stays(wiki: Application, secret_store: SandboxStore) -> None:
    secret_store.driver().write(PATH, {"adminPassword": "theirs", "number": 4}, expected=0)
    write(wiki, "first")
    write(wiki, "second", name="mail.password")

    deliver(wiki)

    expected = {"adminPassword": "theirs", "number": 4, "mailPassword": "first", "mail.password": "second"}
    assert secret_store.data(PATH) == expected
    assert secret_store.version(PATH) == 2


def test_again_is_nothing(wiki: Application, secret_store: SandboxStore) -> None:
    write(wiki, "first")

    assert [deliver(wiki), deliver(wiki)] == [True, True]
    assert secret_store.version(PATH) == 1


def test_a_new_value_follows(wiki: Application, secret_store: SandboxStore) -> None:
    write(wiki, "first")
    deliver(wiki)

    row = write(wiki, "second")

    assert row.delivered_at is None
    deliver(wiki)
    assert (secret_store.data(PATH), secret_store.version(PATH)) == ({"mailPassword": "second"}, 2)


@pytest.mark.parametrize("point", POINTS)
def test_a_death_repeats_harmlessly(wiki: Application, secret_store: SandboxStore, point: str) -> None:
    row = write(wiki, "first")
    with armed(point, crash), pytest.raises(Crash):
        deliver(wiki)
    row.refresh_from_db()
    assert row.delivered_at is None

    deliver_due(now=NOW)

    row.refresh_from_db()
    assert (row.ciphertext, secret_store.data(PATH)) == ("", {"mailPassword": "first"})
    # The value that stood there already was not written again.
    assert secret_store.version(PATH) == 1


def test_control_a_death_between_forgetting_and_writing_would_lose_it(
    wiki: Application, secret_store: SandboxStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forgotten first and written afterwards, a death in between loses the value: the tests above would see that."""
    row = write(wiki, "first")
    record = secret_delivery._record_delivery
    rows = list(ApplicationSecret.objects.select_related("application__organization"))
    record(rows=rows, now=NOW)

    deliver_due(now=NOW)

    row.refresh_from_db()
    assert (row.ciphertext, secret_store.data(PATH)) == ("", {})


def test_replaced_while_it_is_written_the_newer_one_wins(wiki: Application, secret_store: SandboxStore) -> None:
    write(wiki, "first")
    come_between(wiki, secret_store)

    assert deliver(wiki)

    assert secret_store.data(PATH) == {"mailPassword": "second"}
    assert ApplicationSecret.objects.get().ciphertext == ""


def test_delivered_by_another_worker_meanwhile_the_newer_one_stays(
    wiki: Application, secret_store: SandboxStore
) -> None:
    write(wiki, "first")
    come_between(wiki, secret_store, delivers=True)

    deliver(wiki)

    assert secret_store.data(PATH) == {"mailPassword": "second"}
    assert ApplicationSecret.objects.get().ciphertext == ""


def test_control_without_the_check_the_older_one_would_be_written_over_it(
    wiki: Application, secret_store: SandboxStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(wiki, "first")
    come_between(wiki, secret_store, delivers=True)
    entries = secret_store.entries
    kept = entries.write
    monkeypatch.setattr(entries, "write", lambda path, data, *, cas: kept(path, data, cas=None))

    deliver(wiki)

    assert secret_store.data(PATH) == {"mailPassword": "first"}


def come_between(wiki: Application, store: SandboxStore, *, delivers: bool = False) -> None:
    """Let somebody type another value just before the store takes the first one."""

    def act(path: str) -> None:
        store.server.before_write = lambda path: None
        write(wiki, "second", now=NOW + timedelta(seconds=1))
        if delivers:
            deliver(wiki)

    store.server.before_write = act


@pytest.mark.parametrize(
    ("fault", "code", "version"),
    [
        (Fault.ERROR_500, "secret_store_unreachable", 0),
        (Fault.RESET_BEFORE, "secret_store_unreachable", 0),
        (Fault.DROP_AFTER, "secret_store_unreachable", 1),
        (Fault.DENIED, "secret_store_refused", 0),
    ],
)
def test_a_store_that_fails_is_asked_again(
    wiki: Application, secret_store: SandboxStore, fault: Fault, code: str, version: int
) -> None:
    row = write(wiki, "first")
    secret_store.server.faults.append(fault)

    assert not deliver(wiki)

    row.refresh_from_db()
    assert (row.last_error, row.attempts, row.ciphertext[:3]) == (code, 1, "v1:")
    assert secret_store.version(PATH) == version
    assert deliver(wiki)
    assert (secret_store.data(PATH), secret_store.version(PATH)) == ({"mailPassword": "first"}, 1)


def test_a_sealed_store_becomes_an_incident_and_the_incident_ends(
    wiki: Application, secret_store: SandboxStore
) -> None:
    write(wiki, "first")
    secret_store.server.is_sealed = True

    deliver(wiki)
    assert not Incident.objects.exists()
    deliver_entry(application_id=wiki.pk, issuer="", now=NOW + PATIENCE + timedelta(seconds=1))

    incident = Incident.objects.get()
    found = (incident.kind, incident.subject, incident.detail)
    assert found == ("secret_not_delivered", f"application:{wiki.pk}", f"{PATH}: secret_store_sealed")
    secret_store.server.is_sealed = False
    assert deliver(wiki)
    incident.refresh_from_db()
    assert incident.resolved_by == "system"


def test_the_sweep_waits_its_turn(wiki: Application, secret_store: SandboxStore) -> None:
    row = write(wiki, "first")
    secret_store.server.faults.append(Fault.ERROR_500)
    deliver(wiki)

    deliver_due(now=NOW)

    row.refresh_from_db()
    assert (row.delivered_at, secret_store.version(PATH)) == (None, 0)


def test_what_cannot_be_read_stops_nobody_else(wiki: Application, secret_store: SandboxStore) -> None:
    broken = write(wiki, "first")
    ApplicationSecret.objects.filter(pk=broken.pk).update(ciphertext="v1:0:0:0")
    ApplicationSecret.objects.create(
        organization=wiki.organization,
        application=wiki,
        issuer="sql",
        name="password",
        is_generated=True,
        ciphertext="",
        set_at=NOW,
        delivered_at=NOW,
    )
    other = ApplicationSecret.objects.get(issuer="sql")
    sealed = sealed_value(other, "second")
    ApplicationSecret.objects.filter(pk=other.pk).update(ciphertext=sealed, delivered_at=None)

    deliver_due(now=NOW)

    broken.refresh_from_db()
    assert (broken.last_error, broken.delivered_at) == ("secret_unreadable", None)
    assert secret_store.data("org/acme/env/prod/sql/wiki") == {"password": "second"}


def test_an_earlier_application_of_this_name_does_not_come_back(
    wiki: Application, secret_store: SandboxStore, org_admin: User
) -> None:
    """Both wait while the store is away; the older one's value is not the last one written."""
    write(wiki, "older")
    Application.objects.filter(pk=wiki.pk).update(removed_by=wiki.change)
    again = Application.objects.create(
        organization=wiki.organization,
        environment=wiki.environment,
        slug="wiki",
        blueprint_version=wiki.blueprint_version,
        version_range="^1",
        change=wiki.change,
    )
    write(again, "newer", now=NOW + timedelta(days=1))

    deliver_due(now=NOW)

    assert secret_store.data(PATH) == {"mailPassword": "newer"}
    assert set(ApplicationSecret.objects.values_list("ciphertext", flat=True)) == {""}


def test_without_a_store_nothing_is_tried(wiki: Application, secret_store: SandboxStore, settings: Any) -> None:
    row = write(wiki, "first")
    settings.SECRET_STORE = ""

    assert not deliver(wiki)
    deliver_due(now=NOW)

    row.refresh_from_db()
    assert (row.attempts, secret_store.version(PATH)) == (0, 0)
