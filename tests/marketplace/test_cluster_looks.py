"""Looks at clusters: what one sees that nobody told, what becomes of a cluster that is not there, whom it costs."""

import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from catalyst.core.errors import Unavailable
from catalyst.core.models import Outbox
from catalyst.local import reconciler as reconciling
from catalyst.local.reconciler import Reconciler, Target
from marketplace.models import Application, ApplicationStatus, Change, ClusterLook
from marketplace.selectors.cluster_age import UNSEEN_AFTER, last_seen, shown_status
from marketplace.services import cluster_looks
from marketplace.services.changes_repository import repository_path
from marketplace.services.changes_sweep import settle_changes
from marketplace.services.cluster_looks import EVERY, ask_again, hint, look_at_clusters
from marketplace.services.cluster_state import Reading
from marketplace.services.flux_observe import Word
from tenancy.models import AuditEntry, Environment, Organization, Sovereign, User
from tenancy.services.tokens import issue_token
from tests.factories import MembershipFactory
from tests.marketplace.deliver_rows import Desk, open_desk, publish_events
from tests.marketplace.flux_words import say
from tests.rebuilding import assert_rebuilds_equal

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk(sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any) -> Desk:
    Sovereign.objects.update(is_sandbox=True)
    return open_desk(organization, org_admin)


@pytest.fixture
def sandbox(catalyst_home: Path, monkeypatch: pytest.MonkeyPatch) -> Reconciler:
    """The reconciler of this machine, with its webhooks switched off and the repository read from its folder."""
    monkeypatch.setattr(reconciling, "post_event", lambda *_args, **_more: None)
    reconciler = Reconciler(catalyst_home / "sandbox-flux", seconds=0, stop=threading.Event())
    reconciler.beat()
    return reconciler


def reconcile(desk: Desk, sandbox: Reconciler, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = desk.environment()
    tree = (environment.head_commit, desk.tree())
    monkeypatch.setattr(reconciling, "fetch_main", lambda *_args, **_more: tree)
    sandbox.reconcile(Target(environment.name, str(repository_path(environment)), "", "", ""))


def look(**later: float) -> int:
    """Let the sweep come round, as much later as said, and fold what it tells."""
    publish_events()
    seen = look_at_clusters(now=timezone.now() + timedelta(**later))
    publish_events()
    settle_changes(now=timezone.now())
    publish_events()
    return seen


def test_without_webhooks_only_the_delay_differs(
    desk: Desk, sandbox: Reconciler, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.deliver(now=timezone.now())
    reconcile(desk, sandbox, monkeypatch)
    assert desk.statuses() == {"shared-mysql": "installing", "wordpress": "installing"}

    assert look() == 1

    assert desk.statuses() == {"shared-mysql": "ready", "wordpress": "ready"}
    assert Change.objects.get().state == "succeeded"
    told = Outbox.objects.count()
    assert look(seconds=31) == 1
    assert Outbox.objects.count() == told  # nothing is new, so nothing is said

    desk.tell("canceled", 20, now=timezone.now())
    reconcile(desk, sandbox, monkeypatch)
    look(seconds=62)
    assert desk.statuses() == {}
    assert not Application.objects.filter(gone_at__isnull=True).exists()
    assert set(Change.objects.values_list("state", flat=True)) == {"succeeded"}
    assert_rebuilds_equal()


def test_a_dead_cluster_becomes_unknown_and_comes_back(
    desk: Desk, sandbox: Reconciler, monkeypatch: pytest.MonkeyPatch, catalyst_home: Path
) -> None:
    desk.deliver(now=timezone.now())
    reconcile(desk, sandbox, monkeypatch)
    look()
    alive = catalyst_home / "sandbox-flux" / "alive"
    alive.unlink()

    assert look(minutes=1) == 0
    assert set(desk.statuses().values()) == {"ready"}  # not long enough
    assert look(minutes=6) == 0
    assert set(desk.statuses().values()) == {"unknown"}
    row = ClusterLook.objects.get()
    assert (row.failures, row.is_unseen, row.last_error) == (2, True, "The sandbox reconciler has written nothing yet.")
    assert look(minutes=12) == 0
    assert Outbox.objects.filter(topic="environment.unseen").count() == 1

    alive.touch()
    look(minutes=18)
    assert set(desk.statuses().values()) == {"ready"}
    assert ClusterLook.objects.get().failures == 0
    assert_rebuilds_equal()


def test_pauses_grow_and_cost_nobody_else(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.deliver(now=timezone.now())
    other = Environment.objects.create(
        organization=desk.organization,
        env_type="dev",
        name="acme-dev",
        status="ready",
        head_commit="a" * 40,
        head_seq=1,
    )
    asked: list[str] = []

    class Half:
        def read(self, environment: Environment) -> Reading:
            asked.append(environment.name)
            if environment.pk != other.pk:
                raise Unavailable("It does not answer.")
            return Reading(timezone.now(), (), frozenset())

    monkeypatch.setattr(cluster_looks, "cluster_state_of", lambda _environment: Half())
    start = timezone.now()
    gaps: list[float] = []
    for _ in range(6):
        now = max(ClusterLook.objects.get(environment__env_type="prod").next_look_at, start) if gaps else start
        look_at_clusters(now=now)
        gaps.append((ClusterLook.objects.get(environment__env_type="prod").next_look_at - now).total_seconds())

    assert gaps == [30, 60, 120, 240, 300, 300]
    assert asked.count("acme-dev") == 6
    assert ClusterLook.objects.get(environment=other).failures == 0


def test_parts_that_do_not_work_are_counted(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    change = desk.deliver(now=timezone.now())
    desk.cluster_says(change.commit, "shared-mysql", "wordpress")
    words: list[tuple[int, int]] = [(1, 2), (2, 2)]
    monkeypatch.setattr(cluster_looks, "cluster_state_of", lambda _environment: _Counted(change.commit, words.pop(0)))

    look()
    row = ApplicationStatus.objects.get(application="wordpress")
    assert (row.status, row.ready, row.wanted) == ("degraded", 1, 2)
    assert_rebuilds_equal()
    look(seconds=31)
    row = ApplicationStatus.objects.get(application="wordpress")
    assert (row.status, row.ready, row.wanted) == ("ready", 2, 2)


class _Counted:
    def __init__(self, commit: str, parts: tuple[int, int]) -> None:
        self._commit, self._parts = commit, parts

    def read(self, environment: Environment) -> Reading:
        at, (ready, wanted) = timezone.now(), self._parts
        namespace, revision = f"env-{environment.name}", f"main@sha1:{self._commit}"
        root = Word("Kustomization", namespace, "applications", revision, "info", "ReconciliationSucceeded", "", at)
        words = (replace(root, name="wordpress", ready=ready, wanted=wanted), root)
        return Reading(at, words, frozenset({"wordpress", "shared-mysql", "applications"}))


def test_what_somebody_deleted_in_the_cluster_has_failed(
    desk: Desk, sandbox: Reconciler, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = desk.deliver(now=timezone.now())
    desk.cluster_says(change.commit, "shared-mysql", "wordpress")
    monkeypatch.setattr(cluster_looks, "cluster_state_of", lambda _environment: _Lost(change.commit, (1, 1)))

    look()

    assert desk.statuses() == {"shared-mysql": "failed", "wordpress": "ready"}
    reason = ApplicationStatus.objects.get(application="shared-mysql").status_reason
    assert reason == "Kustomization not found: somebody has deleted it in the cluster."


class _Lost(_Counted):
    def read(self, environment: Environment) -> Reading:
        seen = super().read(environment)
        return Reading(seen.at, seen.words, frozenset({"wordpress", "applications"}))


def test_an_older_look_changes_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    change = desk.deliver(now=timezone.now())
    desk.cluster_says(change.commit, "shared-mysql", "wordpress")
    old = _Counted(change.commit, (0, 2)).read(desk.environment())
    look()  # plans the look; nothing can be read yet
    ClusterLook.objects.update(seen_at=old.at + timedelta(seconds=1))
    monkeypatch.setattr(cluster_looks, "cluster_state_of", lambda _environment: _Same(old))

    look(minutes=1)

    assert desk.statuses()["wordpress"] == "ready"
    ClusterLook.objects.update(seen_at=old.at - timedelta(seconds=1))
    look(minutes=2)
    assert desk.statuses()["wordpress"] == "degraded"  # the same words, when they are the newest


class _Same:
    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def read(self, _environment: Environment) -> Reading:
        return self._reading


def test_a_message_brings_the_look_forward(desk: Desk, sandbox: Reconciler, monkeypatch: pytest.MonkeyPatch) -> None:
    change = desk.deliver(now=timezone.now())
    reconcile(desk, sandbox, monkeypatch)
    look()
    row = ClusterLook.objects.get()
    assert row.seen_at is not None
    before = row.next_look_at

    say(desk.environment(), "wordpress", change.commit)

    row.refresh_from_db()
    assert row.next_look_at == row.seen_at + timedelta(seconds=5) < before
    hint(environment_id=row.pk)
    row.refresh_from_db()
    assert row.next_look_at == row.seen_at + timedelta(seconds=5)


def test_a_failed_application_is_tried_again(
    desk: Desk, sandbox: Reconciler, monkeypatch: pytest.MonkeyPatch, org_admin: User
) -> None:
    desk.deliver(now=timezone.now())
    broken = [("BuildFailed", "no")]
    monkeypatch.setattr(reconciling, "find_problem", lambda *_args: broken[0] if broken else None)
    reconcile(desk, sandbox, monkeypatch)
    look()
    assert desk.statuses()["shared-mysql"] == "failed"
    broken.clear()
    environment = desk.environment()

    ask_again(environment=environment, application="shared-mysql", actor=org_admin, now=timezone.now())

    assert sandbox.is_asked(environment.name)
    reconcile(desk, sandbox, monkeypatch)
    assert not sandbox.is_asked(environment.name)
    look(seconds=40)
    assert desk.statuses()["shared-mysql"] == "ready"
    assert AuditEntry.objects.filter(action="application.retried").count() == 1


def test_age_decides_what_is_shown() -> None:
    now = timezone.now()
    old, young = now - UNSEEN_AFTER - timedelta(seconds=1), now - UNSEEN_AFTER
    assert shown_status("ready", seen_at=young, now=now) == "ready"
    assert shown_status("ready", seen_at=old, now=now) == "unknown"
    assert shown_status("failed", seen_at=old, now=now) == "unknown"
    assert shown_status("deleting", seen_at=old, now=now) == "deleting"
    assert shown_status("ready", seen_at=None, now=now) == "ready"


def test_where_nobody_can_look_nothing_becomes_unknown(desk: Desk) -> None:
    desk.deliver(now=timezone.now())
    Sovereign.objects.update(is_sandbox=False)

    assert look(days=1) == 0
    assert ClusterLook.objects.count() == 0
    assert last_seen(desk.environment().pk) is None
    assert timedelta(seconds=30) == EVERY


def test_only_who_may_change_asks_again(desk: Desk, sandbox: Reconciler, org_admin: User) -> None:
    desk.deliver(now=timezone.now())
    publish_events()
    path = "/api/v1/organizations/acme/environments/prod/applications/{}/retry/"

    def ask(user: User, application: str = "wordpress") -> int:
        bearer = f"Bearer {issue_token(user=user, actor='test', now=timezone.now())[1]}"
        return Client().post(path.format(application), headers={"Authorization": bearer}).status_code

    member: Any = MembershipFactory
    viewer = member(organization=desk.organization, role="org-viewer").user
    stranger = member(organization__slug="other", role="org-admin").user
    assert (ask(stranger), ask(viewer), ask(org_admin, "nothing")) == (404, 403, 404)
    assert not sandbox.is_asked("acme-prod")
    assert ask(org_admin) == 202
    assert sandbox.is_asked("acme-prod")
