"""The sandbox reconciler reads over HTTP like Flux, says what Flux would say, and an order becomes ready."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from catalyst.local import reconciler as sandbox
from catalyst.local.reconciler import Kustomization, Reconciler, Target, in_order
from catalyst.local.reconciler_notify import EventNotTaken, post_event
from catalyst.local.reconciler_source import SourceUnavailable, fetch_main
from marketplace import tasks
from marketplace.management.commands.sandbox_reconciler import Command
from marketplace.models import Application, ApplicationStatus, Change, FluxMessage
from marketplace.services.changes_sweep import settle_changes
from marketplace.services.flux_sandbox import READER
from tenancy.models import ApiToken, Membership, Organization, Sovereign, User
from tests.marketplace.deliver_rows import Desk, open_desk, publish_events

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk(sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any) -> Desk:
    Sovereign.objects.update(is_sandbox=True)
    return open_desk(organization, org_admin)


def turn(command: Command, url: str, folder: Path) -> float:
    """Let the reconciler look round once."""
    reconciler = Reconciler(folder, seconds=0.01, stop=threading.Event())
    with ThreadPoolExecutor(2) as threads:
        return command.turn(reconciler, url, threads)


def said() -> list[tuple[str, str]]:
    rows = FluxMessage.objects.order_by("id").values_list("payload", flat=True)
    return [(payload["name"], payload["reason"]) for payload in rows]


def follow() -> None:
    tasks.sweep_flux_messages_task()
    publish_events()
    settle_changes(now=timezone.now())
    publish_events()


def test_an_order_becomes_ready(desk: Desk, live_server: Any, tmp_path: Path) -> None:
    desk.deliver(now=timezone.now())
    command = Command()

    turn(command, live_server.url, tmp_path / "flux")

    assert said() == [
        ("shared-mysql", "Progressing"),
        ("shared-mysql", "ReconciliationSucceeded"),
        ("wordpress", "Progressing"),
        ("wordpress", "ReconciliationSucceeded"),
        ("applications", "ReconciliationSucceeded"),
    ]
    publish_events()
    follow()
    assert Change.objects.get().state == "succeeded"
    assert set(ApplicationStatus.objects.values_list("status", flat=True)) == {"ready"}


def test_says_nothing_again_until_there_is_a_new_commit(desk: Desk, live_server: Any, tmp_path: Path) -> None:
    desk.deliver(now=timezone.now())
    command, reconciler = Command(), Reconciler(tmp_path / "flux", seconds=0.01, stop=threading.Event())
    with ThreadPoolExecutor(2) as threads:
        for _ in range(2):
            command.turn(reconciler, live_server.url, threads)
        assert FluxMessage.objects.count() == 5

        desk.deliver(desk.order("OMN-2026-000002", "bp-uptime-kuma"), now=timezone.now())
        command.turn(reconciler, live_server.url, threads)

    assert said()[5:] == [
        ("shared-mysql", "ReconciliationSucceeded"),
        ("uptime-kuma", "Progressing"),
        ("uptime-kuma", "ReconciliationSucceeded"),
        ("wordpress", "ReconciliationSucceeded"),
        ("applications", "ReconciliationSucceeded"),
    ]


def test_pauses_resumes_and_removes(desk: Desk, live_server: Any, tmp_path: Path) -> None:
    desk.deliver(now=timezone.now())
    shown = []
    for topic, sequence in (("", 0), ("suspended", 20), ("resumed", 21), ("canceled", 22)):
        if topic:
            desk.tell(topic, sequence, now=timezone.now())
        turn(Command(), live_server.url, tmp_path / "flux")  # a new process each time
        publish_events()
        follow()
        shown.append(set(ApplicationStatus.objects.values_list("status", flat=True)))

    assert shown == [{"ready"}, {"paused"}, {"ready"}, set()]
    assert set(Change.objects.values_list("state", flat=True)) == {"succeeded"}
    assert not Application.objects.filter(gone_at__isnull=True).exists()


def test_what_it_never_saw_is_gone_too(desk: Desk, live_server: Any, tmp_path: Path) -> None:
    desk.deliver(now=timezone.now())
    desk.tell("canceled", 20, now=timezone.now())

    turn(Command(), live_server.url, tmp_path / "flux")
    publish_events()
    follow()

    assert said() == [("applications", "ReconciliationSucceeded")]
    assert not ApplicationStatus.objects.exists()
    assert Change.objects.get(kind="offboard").state == "succeeded"


def test_a_removal_whose_report_was_lost_is_reported_again(desk: Desk, live_server: Any, tmp_path: Path) -> None:
    desk.deliver(now=timezone.now())
    turn(Command(), live_server.url, tmp_path / "flux")
    desk.tell("canceled", 20, now=timezone.now())
    known = len(said())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sandbox, "post_event", _lost)
        assert turn(Command(), live_server.url, tmp_path / "flux") == 5.0
    assert len(said()) == known

    turn(Command(), live_server.url, tmp_path / "flux")

    assert [name for name, _reason in said()[known:]] == ["shared-mysql", "wordpress", "applications"]


def _lost(*_: Any, **__: Any) -> None:
    raise EventNotTaken("lost")


def test_reads_as_a_visible_member_with_one_token(desk: Desk, live_server: Any, tmp_path: Path) -> None:
    desk.deliver(now=timezone.now())

    for _ in range(2):  # two runs of the process
        turn(Command(), live_server.url, tmp_path / "flux")

    reader = User.objects.get(email=READER)
    assert [m.role for m in Membership.objects.filter(user=reader)] == ["org-viewer"]
    assert [token.scopes for token in ApiToken.objects.live().filter(user=reader)] == [["git.read"]]
    assert ApiToken.objects.filter(user=reader).count() == 2


def test_waits_where_the_sovereign_is_no_sandbox(desk: Desk, live_server: Any, tmp_path: Path) -> None:
    Sovereign.objects.update(is_sandbox=False)
    desk.deliver(now=timezone.now())

    turn(Command(), live_server.url, tmp_path / "flux")

    assert said() == []
    assert not User.objects.filter(email=READER).exists()


def test_production_settings_refuse_it(settings: Any) -> None:
    settings.SETTINGS_MODULE = "catalyst.settings.prod"

    with pytest.raises(CommandError, match="production settings refuse it"):
        call_command("sandbox_reconciler")


def test_a_server_that_is_away_is_waited_for(desk: Desk, live_server: Any, tmp_path: Path) -> None:
    desk.deliver(now=timezone.now())
    command = Command()

    assert turn(command, "http://127.0.0.1:9", tmp_path / "flux") == 5.0
    assert turn(command, live_server.url, tmp_path / "flux") == 1.0
    assert len(said()) == 5


def test_a_wrong_token_fetches_nothing(desk: Desk, live_server: Any, tmp_path: Path) -> None:
    desk.deliver(now=timezone.now())

    with pytest.raises(SourceUnavailable):
        fetch_main(f"{live_server.url}/git/acme/acme-prod.git", token="cat_wrong", folder=tmp_path / "copy.git")


TARGET = Target("acme-prod", "http://git", "http://hook", token="t", key="k")
FLUX = {
    "flux/kustomization.yaml": b"resources: [app.yaml, db.yaml]\n",
    "flux/app.yaml": b"metadata: {name: app}\nspec: {path: ./apps/app, dependsOn: [{name: db}]}\n",
    "flux/db.yaml": b"metadata: {name: db}\nspec: {path: ./apps/db}\n",
    "apps/app/kustomization.yaml": b"resources: [objects.yaml]\n",
    "apps/app/objects.yaml": b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app}\n",
    "apps/db/kustomization.yaml": b"resources: [objects.yaml]\n",
    "apps/db/objects.yaml": b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: db}\n",
}


@pytest.fixture
def reports(monkeypatch: Any) -> list[tuple[str, str, str]]:
    """Catch what is posted: application, severity, reason."""
    heard: list[tuple[str, str, str]] = []

    def post(url: str, *, key: str, event: Any) -> None:
        assert (url, key) == ("http://hook", "k")
        heard.append((event["involvedObject"]["name"], event["severity"], event["reason"]))

    monkeypatch.setattr(sandbox, "post_event", post)
    return heard


def run(files: dict[str, bytes], monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setattr(sandbox, "fetch_main", lambda *_, **__: ("a" * 40, files))
    Reconciler(tmp_path, seconds=0, stop=threading.Event()).reconcile(TARGET)


@pytest.mark.parametrize(
    ("path", "content", "reason"),
    [
        (
            "apps/db/objects.yaml",
            b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: db}\nspec: {}\n",
            "ValidationFailed",
        ),
        ("apps/db/objects.yaml", b"apiVersion: x.io/v1\nkind: Thing\nmetadata: {name: db}\n", "ValidationFailed"),
        ("apps/db/kustomization.yaml", b"resources: [nothing.yaml]\n", "BuildFailed"),
    ],
)
def test_what_a_cluster_would_refuse_is_reported_and_holds_up_who_needs_it(
    reports: list[tuple[str, str, str]], monkeypatch: Any, tmp_path: Path, path: str, content: bytes, reason: str
) -> None:
    run(FLUX | {path: content}, monkeypatch, tmp_path)

    assert reports[:-1] == [
        ("db", "info", "Progressing"),
        ("db", "error", reason),
        ("app", "info", "DependencyNotReady"),
    ]
    assert reports[-1] == ("applications", "info", "ReconciliationSucceeded")


def test_dependencies_come_first(reports: list[tuple[str, str, str]], monkeypatch: Any, tmp_path: Path) -> None:
    run(FLUX, monkeypatch, tmp_path)

    succeeded = [name for name, _severity, reason in reports if reason == "ReconciliationSucceeded"]
    assert succeeded == ["db", "app", "applications"]


def test_a_cycle_ends() -> None:
    circle = [Kustomization("a", "a", ("b",)), Kustomization("b", "b", ("a",)), Kustomization("c", "c", ())]

    assert [each.name for each in in_order(circle)] == ["c", "a", "b"]


def test_a_report_that_does_not_arrive_is_an_error(desk: Desk, live_server: Any) -> None:
    with pytest.raises(EventNotTaken):
        post_event(f"{live_server.url}/webhooks/flux/nowhere/", key="k", event={})
