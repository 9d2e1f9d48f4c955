"""Whoever dies while a push is accepted, and two at once: ``main`` and the catalogue say the same in the end, once."""

import contextlib
import threading
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.utils import timezone

from catalyst.core.failpoints import Crash, armed, crash
from marketplace.models import BlueprintVersion, SourceRepository
from marketplace.services import push_blueprints
from marketplace.services.push_blueprints import receive_push
from marketplace.services.source_repositories import open_shared
from marketplace.services.take_pushed import take_all, take_pushed
from marketplace.tasks import take_pushed_task
from tenancy.models import AuditEntry, Organization, Sovereign
from tests.marketplace.killing import killed_at
from tests.marketplace.push_desk import PushDesk, blueprint_files, next_version, open_push_desk, push_body

pytestmark = pytest.mark.django_db(transaction=True)

BEFORE = ["push.accept.before_ref"]
AFTER = ["push.accept.after_ref", "push.take.before_record", "push.take.in_tx"]


@pytest.fixture
def desk(sovereign: Sovereign, organization: Organization, catalyst_home: Any, tmp_path: Path) -> PushDesk:
    desk = open_push_desk("http://nowhere.example", tmp_path / "work", organization)
    desk.commit(blueprint_files())
    return desk


def send(desk: PushDesk, body: bytes | None = None) -> bytes:
    row = open_shared(Organization.objects.get(slug="acme"))
    return receive_push(
        repository=row, body=body or push_body(desk, old=desk.main()), pusher=desk.user, now=timezone.now()
    )


def versions() -> list[str]:
    return sorted(BlueprintVersion.objects.filter(blueprint__source="org").values_list("version", flat=True))


@pytest.mark.parametrize("point", AFTER)
def test_what_was_accepted_is_taken_by_the_sweep_once(desk: PushDesk, point: str) -> None:
    killed_at(point, lambda: send(desk))
    assert (desk.main(), versions()) == (desk.head(), [])  # control: nobody has registered it yet

    take_pushed_task()
    take_pushed_task()

    assert versions() == ["1.0.0"]
    assert SourceRepository.objects.get().taken_commit == desk.head()
    entry = AuditEntry.objects.get(action="blueprint.published")
    assert entry.actor == f"user:{desk.user.uuid}"


@pytest.mark.parametrize("point", AFTER)
def test_the_next_push_takes_what_the_last_one_left(desk: PushDesk, point: str) -> None:
    with armed(point, crash), pytest.raises(Crash):
        send(desk)
    desk.commit(next_version(blueprint_files(), "1.1.0"))

    send(desk)

    assert versions() == ["1.0.0", "1.1.0"]


def test_control_without_that_the_version_between_would_be_lost(
    desk: PushDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with armed(AFTER[0], crash), pytest.raises(Crash):
        send(desk)
    desk.commit(next_version(blueprint_files(), "1.1.0"))
    monkeypatch.setattr(push_blueprints, "take_pushed", lambda **_arguments: [])
    send(desk)
    monkeypatch.undo()

    take_all(now=timezone.now())

    assert versions() == ["1.1.0"]


@pytest.mark.parametrize("point", BEFORE)
def test_a_push_that_dies_before_main_moves_was_none(desk: PushDesk, point: str) -> None:
    before = desk.objects()
    killed_at(point, lambda: send(desk))
    assert (desk.main(), versions()) == ("", [])
    assert desk.objects() - before  # what lay beside the repository stays until the next push

    take_pushed_task()
    assert versions() == []
    send(desk)

    assert (desk.main(), versions()) == (desk.head(), ["1.0.0"])
    assert [path for path in desk.objects() if path.startswith("incoming-")] == []


def test_when_the_database_fails_the_push_is_accepted_all_the_same(
    desk: PushDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise DatabaseError("gone")

    with armed("push.take.in_tx", fail):
        answered = send(desk)

    assert b"Accepted. The catalogue shows it within a minute." in answered
    assert b"ok refs/heads/main" in answered
    assert versions() == []
    take_pushed_task()
    assert versions() == ["1.0.0"]


def rival(desk: PushDesk) -> bytes:
    """Return the push of somebody else that begins where this one does."""
    desk.commit(blueprint_files("bp-store"), below="bp-store/", message="rival")
    return push_body(desk)


def test_of_two_pushes_at_once_one_waits_for_the_other(desk: PushDesk) -> None:
    mine, other = push_body(desk), rival(desk)
    told: list[bytes] = []

    with armed("push.accept.before_ref", lambda: told.append(send(desk, other))):
        assert b"ok refs/heads/main" in send(desk, mine)

    assert b"Another push to this repository is under way. Push again in a moment." in told[0]
    assert b"Somebody pushed meanwhile." in send(desk, other)
    assert versions() == ["1.0.0"]


def test_control_without_the_lock_one_clears_away_what_the_other_unpacked(
    desk: PushDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = push_body(desk), rival(desk)
    monkeypatch.setattr(push_blueprints, "receiving", lambda _path: contextlib.nullcontext())
    waiting = [other]

    def once() -> None:
        if waiting:
            send(desk, waiting.pop())

    with armed("push.accept.before_ref", once), pytest.raises(FileNotFoundError):
        send(desk, mine)


def test_two_that_take_the_same_push_register_it_once(desk: PushDesk) -> None:
    with armed("push.accept.after_ref", crash), pytest.raises(Crash):
        send(desk)
    row = SourceRepository.objects.get()
    taken: list[list[str]] = []

    def take() -> None:
        taken.append(take_pushed(repository_id=row.pk, now=timezone.now()))
        connection.close()

    gate = threading.Barrier(2)

    def wait() -> None:
        gate.wait(timeout=10)

    with armed("push.take.before_record", wait):
        threads = [threading.Thread(target=take) for _number in range(2)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()

    assert sorted(taken) == [[], ["bp-handbook 1.0.0"]]
    assert AuditEntry.objects.filter(action="blueprint.published").count() == 1
