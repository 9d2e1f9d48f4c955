"""Move one branch by compare-and-swap, under git's own lock file, so that git, libgit2 and we exclude each other."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Final

import pygit2
from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError, Unavailable

#: A writer holds the lock for about a millisecond; one this old belongs to a process that died holding it.
STALE_LOCK_SECONDS: Final = 60.0
LOCK_WAIT_SECONDS: Final = 5.0
_RETRY_SECONDS: Final = 0.005


class BranchMoved(DomainError):
    """The branch no longer is where the writer saw it; ``actual`` is None when it does not exist."""

    code = "base_commit_moved"
    status = HTTPStatus.CONFLICT

    def __init__(self, *, branch: str, expected: str | None, actual: str | None) -> None:
        super().__init__(_("Somebody else changed this Environment meanwhile; look at the new preview."))
        self.branch = branch
        self.expected = expected
        self.actual = actual


class BranchLocked(Unavailable):
    """Another writer holds the branch for longer than we wait; the same call may succeed later."""

    code = "branch_locked"


def swap(repository: pygit2.Repository, *, reference: str, expected: str | None, new: str) -> None:
    """Set ``reference`` to ``new`` if it still is ``expected`` (None: does not exist), atomically.

    libgit2 compares nothing when it creates a reference, so the comparison happens here, while we hold the lock.

    :raises BranchMoved: it is something else. Nothing changed.
    :raises BranchLocked: another writer held the lock all the time. Nothing changed.
    """
    with _locked(repository, reference) as transaction:
        actual = target(repository, reference)
        if actual != expected:
            raise BranchMoved(branch=reference.removeprefix("refs/heads/"), expected=expected, actual=actual)
        transaction.set_target(reference, new)


def target(repository: pygit2.Repository, reference: str) -> str | None:
    """Return the commit that ``reference`` names, or None when it does not exist."""
    found = repository.references.get(reference)
    return None if found is None else str(found.target)


@contextmanager
def _locked(repository: pygit2.Repository, reference: str) -> Iterator[pygit2.transaction.ReferenceTransaction]:
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    with repository.transaction() as transaction:
        while True:
            try:
                transaction.lock_ref(reference)
                break
            except (pygit2.GitError, ValueError, OSError):
                lock = Path(repository.path) / f"{reference}.lock"
                if not lock.exists() and time.monotonic() > deadline - LOCK_WAIT_SECONDS / 2:
                    raise  # not a matter of waiting: the folder is gone or not writable
                _break_stale(lock)
                if time.monotonic() > deadline:
                    raise BranchLocked(_("The repository is busy; try again in a moment.")) from None
                time.sleep(_RETRY_SECONDS)
        yield transaction


def _break_stale(lock: Path) -> None:
    """Take away a lock whose owner died. Two breakers may race, so the file is moved first and looked at afterwards."""
    try:
        seen = lock.stat()
        if time.time() - seen.st_mtime < STALE_LOCK_SECONDS:
            return
        aside = lock.with_name(f"{lock.name}.stale-{os.getpid()}-{time.monotonic_ns()}")
        lock.rename(aside)
        if aside.stat().st_ino != seen.st_ino:
            os.link(aside, lock)  # a living writer's lock: give it back
        aside.unlink()
    except FileNotFoundError:
        return
