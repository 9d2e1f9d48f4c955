"""Whoever dies while a push is accepted, and two at once: branches and previews say the same in the end."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from catalyst.core.failpoints import armed
from catalyst.core.gitops.push_protocol import NOTHING
from marketplace.models import Change, ChangePreview
from marketplace.services import change_push
from marketplace.services.change_previews import apply_preview
from marketplace.tasks import sweep_branches_task
from tenancy.models import Organization, Sovereign, User
from tests.marketplace.change_push_desk import BRANCH, ChangeDesk, open_change_desk, open_wiki_desk
from tests.marketplace.deliver_rows import LATER
from tests.marketplace.killing import killed_at

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk(
    sovereign: Sovereign,
    organization: Organization,
    org_admin: User,
    catalyst_home: Any,
    tmp_path: Path,
    clock: Callable[..., None],
) -> ChangeDesk:
    desk = open_change_desk(open_wiki_desk(organization, org_admin), tmp_path / "work")
    desk.commit(desk.edited(config={"title": "A"}))
    return desk


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the sweep live on the day of these tests."""
    monkeypatch.setattr("marketplace.tasks.timezone.now", lambda: LATER)


def states() -> list[str]:
    return sorted(ChangePreview.objects.exclude(branch="").values_list("state", flat=True))


def test_a_push_that_dies_before_the_branch_moves_was_none(desk: ChangeDesk) -> None:
    body = desk.body()
    killed_at("change_push.before_branch", lambda: desk.receive(body))
    assert (desk.branches(), states()) == ({}, ["open"])  # control: a preview that no branch speaks of

    sweep_branches_task()

    assert (desk.branches(), states()) == ({}, ["superseded"])
    assert "Accepted" in desk.receive(body)
    assert (desk.branches(), states()) == ({BRANCH: desk.head()}, ["open"])
    assert [path for path in desk.objects() if path.startswith("incoming-")] == []


def test_a_push_that_dies_when_the_branch_has_moved_replaces_the_older_one(desk: ChangeDesk) -> None:
    desk.send()
    desk.commit(desk.edited(config={"title": "B"}))
    body = desk.body()
    killed_at("change_push.after_branch", lambda: desk.receive(body))
    assert (desk.branches(), states()) == ({BRANCH: desk.head()}, ["open", "open"])  # control: both can be applied

    sweep_branches_task()

    assert (desk.branches(), states()) == ({BRANCH: desk.head()}, ["open", "superseded"])
    assert ChangePreview.objects.get(state="open").request["pushed"] == desk.head()


def test_the_next_push_settles_it_too(desk: ChangeDesk) -> None:
    body = desk.body()
    killed_at("change_push.before_branch", lambda: desk.receive(body))
    desk.commit(desk.edited(config={"title": "B"}))

    desk.send(branch="change/other")

    assert (desk.branches(), states()) == ({"change/other": desk.head()}, ["open", "superseded"])


def test_who_dies_after_applying_leaves_a_branch_that_the_sweep_drops(desk: ChangeDesk) -> None:
    desk.send()
    preview = ChangePreview.objects.get(state="open", branch=BRANCH)
    apply_preview(environment=desk.desk.environment(), preview_id=preview.pk, actor=desk.user, now=LATER)
    assert desk.branches() == {BRANCH: desk.head()}  # control

    sweep_branches_task()
    sweep_branches_task()

    assert (desk.branches(), states()) == ({}, ["applied"])


def test_a_deletion_that_dies_is_finished_by_the_sweep(desk: ChangeDesk) -> None:
    desk.send()
    line = f"{desk.head()} {NOTHING} refs/heads/{BRANCH}\0 report-status side-band-64k\n".encode()
    body = f"{len(line) + 4:04x}".encode() + line + b"0000"
    killed_at("change_push.before_drop", lambda: desk.receive(body))
    assert (desk.branches(), states()) == ({BRANCH: desk.head()}, ["cancelled"])  # control

    sweep_branches_task()

    assert (desk.branches(), states()) == ({}, ["cancelled"])


def test_what_nobody_applies_goes_when_its_time_is_over(desk: ChangeDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.send()
    later = ChangePreview.objects.get(branch=BRANCH).expires_at
    sweep_branches_task()
    assert (desk.branches(), states()) == ({BRANCH: desk.head()}, ["open"])

    monkeypatch.setattr("marketplace.tasks.timezone.now", lambda: later)
    sweep_branches_task()

    assert (desk.branches(), states()) == ({}, ["superseded"])


def test_of_two_pushes_at_once_one_waits_for_the_other(desk: ChangeDesk, tmp_path: Path) -> None:
    other = open_change_desk(desk.desk, tmp_path / "other")
    other.commit(other.edited(config={"title": "B"}))
    mine, rival = desk.body(), other.body()
    told: list[str] = []

    with armed("change_push.before_branch", lambda: told.append(other.receive(rival))):
        assert "Accepted" in desk.receive(mine)

    assert "Another push to this repository is under way. Push again in a moment." in told[0]
    assert "is elsewhere by now. Run git fetch --prune" in other.receive(rival)
    assert (desk.branches(), states()) == ({BRANCH: desk.head()}, ["open"])


def test_control_without_the_lock_one_takes_away_what_the_other_asked_for(
    desk: ChangeDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = open_change_desk(desk.desk, tmp_path / "other")
    other.commit(other.edited(config={"title": "B"}))
    waiting = [other.body()]
    monkeypatch.setattr(change_push, "receiving", lambda _path: contextlib.nullcontext())

    def once() -> None:
        if waiting:
            other.receive(waiting.pop())

    with armed("change_push.before_branch", once), pytest.raises(FileNotFoundError):
        desk.receive(desk.body())


def test_two_that_apply_the_same_branch_make_one_change(desk: ChangeDesk) -> None:
    desk.send(options=("catalyst.apply",))
    preview = ChangePreview.objects.get(branch=BRANCH)

    again = apply_preview(environment=desk.desk.environment(), preview_id=preview.pk, actor=desk.user, now=LATER)

    assert [again.pk] == list(Change.objects.filter(preview=preview).values_list("pk", flat=True))
