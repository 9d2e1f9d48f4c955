"""What was pushed, beside the repository: readable together with it, and gone again unless somebody accepts it.

The objects lie in a folder of their own (git calls it quarantine) until they are accepted; the branch moves after
them. A crash in between leaves objects that nothing names, as in ``repository``.
"""

import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import pygit2
from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError
from catalyst.core.gitops import branch as branches
from catalyst.core.gitops.http_backend import git_environment, git_program
from catalyst.core.gitops.pack_limits import PackRefused, check_pack
from catalyst.core.gitops.process import Program
from catalyst.core.gitops.push_protocol import MAIN_REFERENCE
from catalyst.core.gitops.repository import ObjectMissing

#: Who pushed last, beside the branch: a commit names whoever its author says.
_NOTE: Final = "refs/catalyst/pushed"
_PREFIX: Final = "incoming-"


class PushUnderWay(DomainError):
    """Somebody else pushes to this repository at this moment."""

    code = "push_under_way"
    status = HTTPStatus.CONFLICT


class Incoming:
    """One push. ``repository`` reads the objects of both; ``accept`` is the only way in for the new ones."""

    def __init__(self, path: Path, quarantine: Path) -> None:
        self._path = path
        self._quarantine = quarantine
        self.repository = pygit2.Repository(str(path), pygit2.enums.RepositoryOpenFlag.NO_SEARCH)
        self.repository.odb.add_disk_alternate(str(quarantine))

    def commit(self, sha: str) -> pygit2.Commit | None:
        """Return a commit, or None: it does not exist, or is something else."""
        found: Any = self.repository.get(sha)
        return found if isinstance(found, pygit2.Commit) else None

    def is_behind(self, old: str, new: str) -> bool:
        """Tell whether ``old`` is in the history of ``new``, so that nothing is lost."""
        return old == new or self.repository.descendant_of(new, old)

    def accept(self, *, old: str | None, new: str, pushed_by: str) -> None:
        """Keep the objects, write down who pushed, and move ``main`` from ``old`` to ``new``.

        :raises BranchMoved: ``main`` is elsewhere by now.
        :raises BranchLocked: another writer held it all the time.
        """
        _move_packs(self._quarantine / "pack", self._path / "objects" / "pack")
        kept = pygit2.Repository(str(self._path), pygit2.enums.RepositoryOpenFlag.NO_SEARCH)
        note = kept.create_blob(f"{new} {pushed_by}".encode())
        kept.references.create(_NOTE, note, force=True)
        branches.swap(kept, reference=MAIN_REFERENCE, expected=old, new=new)

    def accept_branch(self, reference: str, *, old: str | None, new: str) -> None:
        """Keep the objects, and move a branch that is not ``main`` from ``old`` to ``new``.

        :raises BranchMoved: it is elsewhere by now.
        :raises BranchLocked: another writer held it all the time.
        """
        _move_packs(self._quarantine / "pack", self._path / "objects" / "pack")
        kept = pygit2.Repository(str(self._path), pygit2.enums.RepositoryOpenFlag.NO_SEARCH)
        branches.swap(kept, reference=reference, expected=old, new=new)

    def is_all_named(self, named: Collection[str]) -> bool:
        """Tell whether everything that came is in ``named`` or was here before: what nothing names, nobody judges."""
        known = pygit2.Repository(str(self._path), pygit2.enums.RepositoryOpenFlag.NO_SEARCH)
        return all(str(each) in named or each in known for each in pygit2.Odb(str(self._quarantine)))


def pushed_by(path: Path, commit: str) -> str:
    """Return who pushed ``commit`` as the newest one; empty when nobody wrote it down."""
    repository = pygit2.Repository(str(path), pygit2.enums.RepositoryOpenFlag.NO_SEARCH)
    reference = repository.references.get(_NOTE)
    note: Any = repository.get(reference.target) if reference is not None else None
    sha, _space, name = (note.data.decode() if isinstance(note, pygit2.Blob) else "").partition(" ")
    return name if sha == commit else ""


def read_commit(path: Path, sha: str) -> pygit2.Commit:
    """Return a commit that the repository at ``path`` has.

    :raises ObjectMissing: it has not.
    """
    repository = pygit2.Repository(str(path), pygit2.enums.RepositoryOpenFlag.NO_SEARCH)
    found: Any = repository.get(sha)
    if not isinstance(found, pygit2.Commit):
        raise ObjectMissing(_("There is no such commit."))
    return found


@contextmanager
def receiving(path: Path) -> Iterator[None]:
    """Hold the repository for one push; the operating system lets go of it when the process dies.

    :raises PushUnderWay: another push holds it.
    """
    with (path / "push.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PushUnderWay(_("Another push to this repository is under way. Push again in a moment.")) from None
        yield


@contextmanager
def unpacked(path: Path, pack: bytes) -> Iterator[Incoming]:
    """Unpack a push beside the repository at ``path``; whatever was not accepted is gone at the end.

    Call while ``receiving`` it: what a push left that died is cleared away first.

    :raises PackRefused: it is too large, broken, or lacks objects that it speaks of.
    """
    for left in (path / "objects").glob(f"{_PREFIX}*"):
        shutil.rmtree(left, ignore_errors=True)
    quarantine = path / "objects" / f"{_PREFIX}{secrets.token_hex(8)}"
    try:
        (quarantine / "pack").mkdir(parents=True)
        if pack and check_pack(pack):
            _index(path, quarantine, pack)
        yield Incoming(path, quarantine)
    finally:
        shutil.rmtree(quarantine, ignore_errors=True)


def _index(path: Path, quarantine: Path, pack: bytes) -> None:
    """Let git check every object and every link between them, and complete what it may leave out."""
    settings = {"safe.directory": "*", "pack.threads": "1", "transfer.fsckObjects": "true"}
    environment = git_environment(settings) | {
        "GIT_DIR": str(path),
        "GIT_OBJECT_DIRECTORY": str(quarantine),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(path / "objects"),
    }
    with tempfile.TemporaryFile() as body:
        body.write(pack)
        body.seek(0)
        arguments = [git_program(), "index-pack", "--stdin", "--strict", "--fix-thin"]
        code = Program(arguments, folder=path, environment=environment, stdin=body).wait()
    if code != 0:
        raise PackRefused(_("Git does not accept these objects. Run git fsck, mend what it names, and push again."))


def _move_packs(source: Path, target: Path) -> None:
    """Move packs into the repository, each one's index last: without it nobody finds the pack."""
    target.mkdir(exist_ok=True)
    files = sorted(source.iterdir(), key=lambda each: each.suffix == ".idx")
    for each in files:
        each.rename(target / each.name)
    folder = os.open(target, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
