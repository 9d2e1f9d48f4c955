"""Compare-and-swap on a branch: of many writers on one base exactly one wins, whatever they write with."""

import os
import re
import subprocess
import sys
import time
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

import pygit2
import pytest

from catalyst.core.gitops import branch as branches
from catalyst.core.gitops.message import Person
from catalyst.core.gitops.repository import BareRepository, BranchLocked, BranchMoved, ObjectMissing, open_or_create

WHO = Person("Catalyst", "catalyst@example.om")


def commit(repository: BareRepository, parent: str | None, text: str) -> str:
    return repository.write_commit(
        parent,
        {"README.md": text.encode()},
        allowed=re.compile(r"README\.md"),
        author=WHO,
        committer=WHO,
        message="x",
        when=datetime(2026, 1, 1, tzinfo=UTC),
    )


def climb(path: str, writer: str, rounds: int) -> None:
    """Add ``rounds`` commits on top of whatever is there, again and again until each one is in."""
    repository = open_or_create(Path(path))
    for number in range(rounds):
        while True:
            base = repository.head()
            try:
                repository.update_branch(base, commit(repository, base, f"{writer} {number}"))
                break
            except BranchMoved:
                continue


def climb_carelessly(path: str, writer: str, rounds: int) -> None:
    """Do the same without the lock: look, then write."""
    repository = open_or_create(Path(path))
    raw = pygit2.Repository(path)
    for number in range(rounds):
        base = repository.head()
        new = commit(repository, base, f"{writer} {number}")
        time.sleep(0.001)
        try:
            raw.references.create("refs/heads/main", new, force=True)
        except (OSError, ValueError, pygit2.GitError):
            continue


@pytest.fixture
def repository(tmp_path: Path) -> BareRepository:
    return open_or_create(tmp_path / "acme-prod.git")


def test_moves_the_branch_from_the_expected_commit(repository: BareRepository) -> None:
    first = commit(repository, None, "1")
    repository.update_branch(None, first)
    second = commit(repository, first, "2")

    repository.update_branch(first, second)

    assert repository.head() == second


@pytest.mark.parametrize("expected", [None, "stale"])
def test_refuses_another_base_and_changes_nothing(repository: BareRepository, expected: str | None) -> None:
    first, other = commit(repository, None, "1"), commit(repository, None, "other")
    repository.update_branch(None, first)

    with pytest.raises(BranchMoved) as refusal:
        repository.update_branch(other if expected else None, commit(repository, first, "2"))
    assert refusal.value.actual == first
    assert repository.head() == first


def test_refuses_to_update_a_branch_that_does_not_exist(repository: BareRepository) -> None:
    first = commit(repository, None, "1")

    with pytest.raises(BranchMoved):
        repository.update_branch(first, first)
    assert repository.head() is None


def test_refuses_a_commit_that_is_not_there(repository: BareRepository) -> None:
    with pytest.raises(ObjectMissing):
        repository.update_branch(None, "0" * 39 + "1")
    assert repository.head() is None


def test_sees_packed_branches(repository: BareRepository) -> None:
    first = commit(repository, None, "1")
    repository.update_branch(None, first)
    subprocess.run(["git", "-C", str(repository.path), "pack-refs", "--all"], check=True)

    with pytest.raises(BranchMoved):
        repository.update_branch(None, commit(repository, None, "other"))
    repository.update_branch(first, commit(repository, first, "2"))

    assert repository.head() == commit(repository, first, "2")


def test_two_processes_lose_no_commit(repository: BareRepository) -> None:
    context = get_context("fork" if sys.platform == "linux" else "spawn")
    with context.Pool(2) as pool:
        pool.starmap(climb, [(str(repository.path), "a", 60), (str(repository.path), "b", 60)])

    head = repository.head()
    assert head is not None
    history = [repository.read_file(entry.sha, "README.md") for entry in repository.log_first_parent(head)]
    assert sorted(map(str, history)) == sorted(str(f"{name} {n}".encode()) for name in "ab" for n in range(60))


def test_control_without_the_lock_commits_are_lost(repository: BareRepository) -> None:
    context = get_context("fork" if sys.platform == "linux" else "spawn")
    with context.Pool(2) as pool:
        pool.starmap(climb_carelessly, [(str(repository.path), "a", 60), (str(repository.path), "b", 60)])

    assert len(list(repository.log_first_parent(str(repository.head())))) < 120


def test_first_commit_of_two_processes_has_one_winner(tmp_path: Path) -> None:
    context = get_context("fork" if sys.platform == "linux" else "spawn")
    with context.Pool(2) as pool:
        for number in range(10):
            path = tmp_path / f"{number}.git"
            pool.starmap(climb, [(str(path), "a", 1), (str(path), "b", 1)])
            repository = open_or_create(path)
            assert len(list(repository.log_first_parent(str(repository.head())))) == 2


def test_excludes_the_git_program_too(repository: BareRepository) -> None:
    first = commit(repository, None, "1")
    repository.update_branch(None, first)
    (repository.path / "refs/heads/main.lock").write_text("")

    refused = subprocess.run(
        ["git", "-C", str(repository.path), "update-ref", "refs/heads/main", first, first], capture_output=True
    )
    assert refused.returncode != 0


def test_waits_for_the_lock_and_gives_up_without_a_change(
    repository: BareRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(branches, "LOCK_WAIT_SECONDS", 0.1)
    first = commit(repository, None, "1")
    repository.update_branch(None, first)
    (repository.path / "refs/heads/main.lock").write_text("")

    with pytest.raises(BranchLocked):
        repository.update_branch(first, commit(repository, first, "2"))
    assert repository.head() == first


def test_breaks_the_lock_of_a_writer_that_died(repository: BareRepository) -> None:
    first = commit(repository, None, "1")
    repository.update_branch(None, first)
    lock = repository.path / "refs/heads/main.lock"
    lock.write_text("")
    long_ago = time.time() - 2 * branches.STALE_LOCK_SECONDS
    os.utime(lock, (long_ago, long_ago))

    second = commit(repository, first, "2")
    repository.update_branch(first, second)

    assert repository.head() == second
    assert list((repository.path / "refs/heads").iterdir()) == [repository.path / "refs/heads/main"]
