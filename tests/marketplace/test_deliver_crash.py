"""Whoever dies while a Change is committed: the next driver makes the same commit, once."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from catalyst.core.failpoints import Crash, armed, crash
from catalyst.core.gitops import branch
from catalyst.core.gitops.message import Person
from catalyst.core.models import Outbox
from marketplace.models import Application, Change
from marketplace.services import changes, changes_commit, delivery
from marketplace.services.changes_sweep import sweep_changes
from tenancy.models import Organization, Sovereign, User
from tests.marketplace.deliver_rows import LATER, NOW, Desk, end_leases, open_desk
from tests.marketplace.killing import killed_at

pytestmark = pytest.mark.django_db(transaction=True)

POINTS = ["install.commit.after_object", "install.push.after_push", "install.record.in_tx"]


@pytest.fixture
def desk(sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any) -> Desk:
    return open_desk(organization, org_admin)


def die_at(point: str, action: Callable[[], Any]) -> None:
    with armed(point, crash), pytest.raises(Crash):
        action()


def recover(now: datetime = LATER) -> None:
    end_leases()
    sweep_changes(owner="sweeper", now=now)


def foreign_commit(desk: Desk) -> str:
    """Commit something past the platform, as somebody with access to the disk would."""
    repository = desk.repository()
    head = repository.head()
    stranger = Person("Mallory", "mallory@example.com")
    sha = repository.write_commit(
        head,
        {"README.md": b"mine\n"},
        allowed=re.compile(r"README\.md"),
        author=stranger,
        committer=stranger,
        message="mine\n",
        when=datetime(2026, 1, 1, tzinfo=UTC),
    )
    repository.update_branch(head, sha)
    return sha


@pytest.mark.parametrize("point", POINTS)
def test_the_same_commit_is_made_once(desk: Desk, point: str) -> None:
    die_at(point, desk.deliver)
    assert Change.objects.get().commit == ""

    recover()

    (commit,) = desk.history()
    change = Change.objects.get()
    assert desk.commit_objects() == [commit.sha] == [change.commit]
    assert (change.state, change.seq, commit.when) == ("reconciling", 1, NOW.replace(microsecond=0))
    assert desk.environment().head_commit == commit.sha
    assert Outbox.objects.filter(topic="change.committed").count() == 1


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_worker_costs_only_its_lease(desk: Desk, point: str) -> None:
    killed_at(point, desk.deliver)
    assert desk.environment().lease_owner == "worker-1"
    replayed = desk.deliver(now=LATER, owner="worker-2")
    assert (replayed.state, replayed.commit) == ("committing", "")

    recover()

    assert desk.commit_objects() == [commit.sha for commit in desk.history()] == [Change.objects.get().commit]


def pause_by(owner: str, desk: Desk) -> Callable[[], Any]:
    return lambda: desk.tell("suspended", 20, owner=owner)


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_killed_while_it_pauses_leaves_one_commit(desk: Desk, point: str) -> None:
    desk.deliver()
    killed_at(point, pause_by("worker-1", desk))
    assert desk.environment().lease_owner == "worker-1"
    assert set(Application.objects.values_list("state", flat=True)) == {"active"}
    desk.tell("suspended", 20, owner="worker-2")  # the event arrives again while the dead one's lease lasts
    assert Change.objects.get(kind="pause").commit == ""

    recover()

    install, pause = desk.history()
    assert desk.commit_objects() == sorted([install.sha, pause.sha])
    change = Change.objects.get(kind="pause")
    assert (change.commit, change.seq, change.state) == (pause.sha, 2, "reconciling")
    assert set(Application.objects.values_list("state", flat=True)) == {"paused"}
    assert Outbox.objects.filter(topic="change.committed").count() == 2


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_killed_while_it_removes_leaves_one_commit(desk: Desk, point: str) -> None:
    desk.deliver()
    killed_at(point, lambda: desk.tell("canceled", 20))
    # The same subscription's Environment is bought again before anybody has looked.
    delivery.plan_installation(order=desk.order_at(30, "OMN-2026-000002", "bp-wordpress"), now=LATER)

    recover()

    kinds = list(Change.objects.order_by("seq").values_list("kind", "commit"))
    commits = [commit.sha for commit in desk.history()]
    assert kinds == list(zip(["install", "offboard", "install"], commits, strict=True))
    assert desk.commit_objects() == sorted(commits)
    assert "apps/wordpress/application.yaml" not in desk.repository().read_tree(commits[1])
    assert "apps/wordpress/application.yaml" in desk.repository().read_tree(commits[2])


def test_control_without_what_was_stored_first_a_dead_pause_is_written_again(desk: Desk) -> None:
    desk.deliver()
    killed_at("install.commit.after_object", pause_by("worker-1", desk))
    Change.objects.filter(kind="pause").update(seq=None, base_commit="", committed_at=None)

    recover(now=LATER + timedelta(minutes=1))

    assert len(desk.history()) == 2
    assert len(desk.commit_objects()) == 3  # the dead one's stays behind, with another time


def test_dying_at_every_point_in_turn_gives_the_same_commit(desk: Desk) -> None:
    for point in POINTS:
        die_at(point, desk.deliver)
        end_leases()

    recover()

    assert desk.commit_objects() == [Change.objects.get().commit]


@pytest.mark.parametrize("point", POINTS)
def test_an_order_planned_meanwhile_changes_nothing_of_it(desk: Desk, point: str) -> None:
    die_at(point, desk.deliver)
    delivery.plan_installation(order=desk.order("OMN-2026-000002", "bp-wordpress"), now=LATER)

    recover()

    first, second = desk.history()
    assert desk.commit_objects() == sorted([first.sha, second.sha])
    assert "apps/wordpress-2/application.yaml" not in desk.repository().read_tree(first.sha)
    assert list(Change.objects.order_by("seq").values_list("commit", flat=True)) == [first.sha, second.sha]


def test_a_living_writer_is_not_disturbed(desk: Desk) -> None:
    die_at("install.push.after_push", desk.deliver)

    sweep_changes(owner="sweeper", now=LATER)

    assert Change.objects.get().commit == ""
    assert desk.environment().lease_owner == "worker-1"


def test_a_writer_that_lost_its_lease_records_nothing(desk: Desk) -> None:
    def overtake() -> None:
        end_leases()
        with_other = changes_commit.commit_changes
        if desk.environment().lease_owner == "worker-1":
            with_other(environment_id=desk.environment().pk, owner="worker-2", now=LATER)

    with armed("install.push.after_push", overtake):
        change = desk.deliver()

    assert desk.commit_objects() == [change.commit]
    assert Outbox.objects.filter(topic="change.committed").count() == 1
    assert desk.environment().lease_owner == ""


def test_a_foreign_commit_stops_writing(desk: Desk) -> None:
    first = desk.deliver()
    stranger = foreign_commit(desk)

    change = desk.deliver(desk.order("OMN-2026-000002", "bp-uptime-kuma"), now=LATER)

    assert (change.state, change.commit, change.seq) == ("failed", "", None)
    assert "acme-prod holds a commit that is not ours" in change.status_reason
    assert [commit.sha for commit in desk.history()] == [first.commit, stranger]
    assert desk.environment().head_commit == first.commit
    assert Outbox.objects.filter(topic="change.failed").count() == 1


def test_a_forged_trailer_is_not_taken_for_ours(desk: Desk) -> None:
    die_at("install.commit.after_object", desk.deliver)
    change = Change.objects.get()
    repository, who = desk.repository(), Person("Mallory", "mallory@example.com")
    sha = repository.write_commit(
        None,
        {"README.md": b"mine\n"},
        allowed=re.compile(r"README\.md"),
        author=who,
        committer=who,
        message=f"mine\n\nCatalyst-Change: {change.pk}\nCatalyst-Seq: 1\n",
        when=NOW - timedelta(seconds=1),
    )
    repository.update_branch(None, sha)

    recover()

    change.refresh_from_db()
    assert (change.state, change.commit) == ("failed", "")


def test_a_busy_branch_is_tried_again(desk: Desk, monkeypatch: Any) -> None:
    monkeypatch.setattr(branch, "LOCK_WAIT_SECONDS", 0.05)
    desk.deliver()
    lock = desk.repository().path / "refs" / "heads" / "main.lock"
    lock.touch()

    change = desk.deliver(desk.order("OMN-2026-000002", "bp-uptime-kuma"))

    assert (change.state, change.attempts, change.commit) == ("committing", 1, "")
    assert desk.environment().lease_owner == ""
    lock.unlink()
    recover()
    assert len(desk.history()) == 2


def test_what_is_not_saved_in_time_fails_with_a_reason(desk: Desk) -> None:
    change = delivery.plan_installation(order=desk.order(), now=NOW)

    recover(now=NOW + timedelta(minutes=31))

    change.refresh_from_db()
    assert (change.state, change.commit) == ("failed", "")
    assert change.status_reason == "It could not be saved in time. Our staff have been told."
    assert desk.repository().head() is None

    changes.retry_change(change_id=change.pk, actor="test", now=NOW + timedelta(minutes=32))
    recover(now=NOW + timedelta(minutes=33))
    change.refresh_from_db()
    assert (change.state, change.seq) == ("reconciling", 1)


def test_a_service_of_a_failed_change_comes_with_the_next_one(desk: Desk) -> None:
    failed = delivery.plan_installation(order=desk.order(), now=NOW)
    changes.fail_change(change_id=failed.pk, reason="Stopped by a person.", now=NOW)

    change = desk.deliver(desk.order("OMN-2026-000002", "bp-wordpress"), now=LATER)

    assert change.state == "reconciling"
    assert {row.slug for row in Application.objects.filter(change=change)} == {"shared-mysql", "wordpress-2"}
    assert "apps/wordpress/application.yaml" not in desk.repository().read_tree(change.commit)
