"""Bare repositories through pygit2: no work tree, no index, no git program.

A commit writes only the folders it touches, so its cost does not grow with the history. Objects are written before the
branch moves; a crash in between leaves unreferenced objects, and the same call again makes the same commit.
"""

import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import pygit2
from django.utils.translation import gettext as _
from pygit2.enums import ConfigLevel, FileMode

from catalyst.core.errors import DomainError, Unavailable
from catalyst.core.gitops import branch as branches
from catalyst.core.gitops.branch import BranchLocked, BranchMoved
from catalyst.core.gitops.message import Person

__all__ = [
    "BareRepository",
    "BranchLocked",
    "BranchMoved",
    "Commit",
    "ObjectMissing",
    "PathRefused",
    "RepositoryUnavailable",
    "changes_between",
    "open_or_create",
    "open_repository",
]

MAIN: Final = "main"
_BRANCH = re.compile(r"main|change/[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_SHA = re.compile(r"[0-9a-f]{40}")

# The folders are ours by their computed path, whoever unpacked the data; and no configuration of the machine counts.
pygit2.settings.owner_validation = False
for _level in (ConfigLevel.PROGRAMDATA, ConfigLevel.SYSTEM, ConfigLevel.XDG, ConfigLevel.GLOBAL):
    pygit2.settings.search_path[_level] = ""
# What is recorded as committed survives a power cut. A commit then costs about 8 ms instead of 2.
pygit2.settings.enable_fsync_gitdir(True)

# A tree to be written: names map to bytes (write), None (remove) or a deeper folder.
_Folder = dict[str, Any]


class RepositoryUnavailable(Unavailable):
    """The repository does not exist or cannot be read."""

    code = "repository_unavailable"


class ObjectMissing(DomainError):
    """The repository has no such commit, or the name is not a full SHA."""

    code = "commit_not_found"
    status = HTTPStatus.NOT_FOUND


class PathRefused(DomainError):
    """A path, or the mode of an entry, that no Environment repository may hold."""

    code = "path_refused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True)
class Commit:
    """What the history says about one commit; ``when`` is the committer's time, UTC."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    author: Person
    committer: Person
    message: str
    when: datetime


def open_or_create(path: Path) -> "BareRepository":
    """Open the bare repository at ``path``, making an empty one first when there is none; safe to race.

    :raises RepositoryUnavailable: something else stands there.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        pygit2.init_repository(str(draft), bare=True, initial_head=MAIN)
        try:
            os.rename(draft, path)
        except OSError:  # another process was first
            shutil.rmtree(draft, ignore_errors=True)
    return open_repository(path)


def open_repository(path: Path) -> "BareRepository":
    """Open the bare repository at ``path``.

    :raises RepositoryUnavailable: there is none.
    """
    try:
        repository = pygit2.Repository(str(path), pygit2.enums.RepositoryOpenFlag.NO_SEARCH)
    except pygit2.GitError:
        raise RepositoryUnavailable(_("The Git repository cannot be read.")) from None
    return BareRepository(repository)


def changes_between(base: Mapping[str, bytes], target: Mapping[str, bytes]) -> dict[str, bytes | None]:
    """Return the changes that turn the files ``base`` into the files ``target``: new content, or None to remove."""
    changes: dict[str, bytes | None] = {path: None for path in base if path not in target}
    changes.update({path: content for path, content in target.items() if base.get(path) != content})
    return dict(sorted(changes.items()))


class BareRepository:
    """One bare repository. Not to be shared between threads; opening one is cheap."""

    def __init__(self, repository: pygit2.Repository) -> None:
        self._repository = repository

    @property
    def path(self) -> Path:
        return Path(self._repository.path)

    def head(self, branch: str = MAIN) -> str | None:
        """Return the SHA that ``branch`` names, or None when it does not exist."""
        return branches.target(self._repository, _reference(branch))

    def update_branch(self, expected_old: str | None, new: str, *, branch: str = MAIN) -> None:
        """Move ``branch`` to ``new`` if it still is ``expected_old`` (None: it must not exist), atomically.

        :raises BranchMoved: it is something else. Nothing changed.
        :raises BranchLocked: another writer held the lock all the time. Nothing changed.
        """
        self._commit(new)
        branches.swap(self._repository, reference=_reference(branch), expected=expected_old, new=new)

    def read_tree(self, commit: str, *, matching: re.Pattern[str] | None = None, folder: str = "") -> dict[str, bytes]:
        """Return every file of ``commit`` by path, or those whose whole path matches, or those below one folder.

        :raises ObjectMissing: no such commit.
        :raises PathRefused: it holds a symbolic link, a submodule or an executable file.
        """
        tree = self._commit(commit).tree
        if folder:
            try:
                below = tree[folder]
            except KeyError:
                return {}
            if not isinstance(below, pygit2.Tree):
                return {}
            tree = below
        return dict(sorted(self._files(tree, f"{folder}/" if folder else "", matching)))

    def read_file(self, commit: str, path: str) -> bytes | None:
        """Return one file of ``commit``, or None when it is not there."""
        try:
            entry = self._commit(commit).tree[path]
        except KeyError:
            return None
        return entry.data if isinstance(entry, pygit2.Blob) else None

    def write_tree(self, parent: str | None, changes: Mapping[str, bytes | None], *, allowed: re.Pattern[str]) -> str:
        """Write the tree of ``parent`` with ``changes`` applied and return its SHA; no branch moves.

        :raises PathRefused: a path that ``allowed`` does not match as a whole.
        """
        base = self._commit(parent).tree if parent else None
        written = self._write_folder(base, _nest(changes, allowed))
        return str(written or self._repository.TreeBuilder().write())

    def write_commit(
        self,
        parent: str | None,
        changes: Mapping[str, bytes | None],
        *,
        allowed: re.Pattern[str],
        author: Person,
        committer: Person,
        message: str,
        when: datetime,
    ) -> str:
        """Write one commit on top of ``parent`` and return its SHA; no branch moves. Equal input gives an equal SHA.

        ``when`` is cut to whole seconds and written in UTC for both author and committer.

        :raises PathRefused: a path that ``allowed`` does not match as a whole.
        :raises ObjectMissing: ``parent`` is not there.
        :raises ValueError: ``when`` has no time zone, so its second would depend on the machine.
        """
        if when.tzinfo is None:
            raise ValueError("The commit time needs a time zone.")
        tree = self.write_tree(parent, changes, allowed=allowed)
        seconds = int(when.timestamp())
        signed, made = (pygit2.Signature(who.name, who.email, seconds, 0, "utf-8") for who in (author, committer))
        return str(self._repository.create_commit(None, signed, made, message, tree, [parent] if parent else []))

    def log_first_parent(self, start: str, *, limit: int | None = None) -> Iterator[Commit]:
        """Yield ``start`` and its first parents, newest first.

        :raises ObjectMissing: no such commit.
        """
        commit: pygit2.Commit | None = self._commit(start)
        while commit is not None and limit != 0:
            yield _described(commit)
            commit = commit.parents[0] if commit.parent_ids else None
            limit = None if limit is None else limit - 1

    def _commit(self, sha: str) -> pygit2.Commit:
        found: Any = self._repository.get(sha) if _SHA.fullmatch(sha) else None
        if not isinstance(found, pygit2.Commit):
            raise ObjectMissing(_("There is no such commit."))
        return found

    def _files(self, tree: pygit2.Tree, prefix: str, matching: re.Pattern[str] | None) -> Iterator[tuple[str, bytes]]:
        for entry in tree:
            path = f"{prefix}{entry.name}"
            if isinstance(entry, pygit2.Tree):
                yield from self._files(entry, f"{path}/", matching)
            elif not isinstance(entry, pygit2.Blob) or entry.filemode != FileMode.BLOB:
                raise PathRefused(_("%(path)s is not a plain file.") % {"path": path})
            elif matching is None or matching.fullmatch(path):
                yield path, entry.data

    def _write_folder(self, base: pygit2.Tree | None, folder: _Folder) -> pygit2.Oid | None:
        """Return the new tree, or None when nothing is left in it: Git keeps no empty folders."""
        builder = self._repository.TreeBuilder(base) if base is not None else self._repository.TreeBuilder()
        for name, content in folder.items():
            if isinstance(content, dict):
                below = base[name] if base is not None and name in base else None
                written = self._write_folder(below if isinstance(below, pygit2.Tree) else None, content)
                mode = FileMode.TREE
            else:
                written = None if content is None else self._repository.create_blob(content)
                mode = FileMode.BLOB
            if written is not None:
                builder.insert(name, written, mode)
            elif builder.get(name) is not None:
                builder.remove(name)
        return builder.write() if len(builder) else None


def _reference(branch: str) -> str:
    if not _BRANCH.fullmatch(branch):
        raise PathRefused(_("%(name)s is not a branch of an Environment.") % {"name": branch[:80]})
    return f"refs/heads/{branch}"


def _nest(changes: Mapping[str, bytes | None], allowed: re.Pattern[str]) -> _Folder:
    root: _Folder = {}
    for path, content in changes.items():
        names = path.split("/")
        is_git_name = any(name in {"", ".", ".."} or name.lower().startswith(".git") for name in names)
        if is_git_name or not allowed.fullmatch(path):
            raise PathRefused(_("%(path)s is not a path of an Environment.") % {"path": path[:200]})
        folder = root
        for name in names[:-1]:
            folder = folder.setdefault(name, {})
            if not isinstance(folder, dict):
                raise PathRefused(_("%(path)s is a file and a folder at once.") % {"path": path[:200]})
        if isinstance(folder.setdefault(names[-1], content), dict):
            raise PathRefused(_("%(path)s is a file and a folder at once.") % {"path": path[:200]})
    return root


def _described(commit: pygit2.Commit) -> Commit:
    return Commit(
        sha=str(commit.id),
        tree=str(commit.tree_id),
        parents=tuple(str(parent) for parent in commit.parent_ids),
        author=Person(commit.author.name, commit.author.email),
        committer=Person(commit.committer.name, commit.committer.email),
        message=commit.message,
        when=datetime.fromtimestamp(commit.commit_time, UTC),
    )
