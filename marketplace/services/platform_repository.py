"""The platform's own repository, ``system/catalyst-config``: written from rows, one commit for each difference.

One writer at a time, by a lock of Postgres; ``main`` moves by compare-and-swap besides. A commit is recorded as ours
before ``main`` names it. So a commit that is not recorded is somebody else's and stops writing, and dying anywhere
leaves nothing that the next call does not do again.
Source: docs/platform-repository.md.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Final

import structlog
from django.conf import settings
from django.db import connection
from django.utils.translation import gettext as _

from catalyst.core import outbox
from catalyst.core.database import use_case
from catalyst.core.errors import DomainError
from catalyst.core.failpoints import fp
from catalyst.core.gitops.message import Person, build_message
from catalyst.core.gitops.repository import BareRepository, changes_between, open_or_create
from catalyst.core.incidents import open_incident, resolve_subject
from catalyst.core.models import Outbox
from marketplace.manifests.platform import readme
from marketplace.manifests.platform_facts import PLATFORM_PATHS
from marketplace.services.platform_desired import desired_platform_files
from tenancy.models import Environment
from tenancy.selectors.sovereign import get_sovereign

log = structlog.get_logger(__name__)

#: Its address on the Git server. No Organization can be called ``system``, nor its folder ``.system``.
NAME: Final = "system/catalyst-config"
_ID: Final = "7d0f7f5e-8d1c-4c1e-9a52-2f1f3f6f0c11"
_FOLDER: Final = ".system"
_LOCK: Final = 0x0CA7A2
_LOCKED: Final = "SELECT pg_advisory_lock(%s)"
_UNLOCKED: Final = "SELECT pg_advisory_unlock(%s)"
_TOPIC: Final = "platform.commit_recorded"
_README: Final = "README.md"
_LISTED: Final = 3


class PlatformForeignCommit(DomainError):
    """``main`` of the platform's repository names a commit that the platform did not record; nothing is written."""

    code = "foreign_commit"
    status = HTTPStatus.CONFLICT


def platform_repository_path() -> Path:
    """Return where the bare repository stands, or will stand."""
    root: Path = settings.GIT_ROOT
    return root / _FOLDER / f"{_ID}.git"


def sync_environment(environment: Environment, *, now: datetime, gone: bool = False) -> str:
    """Make the repository say what the rows say of one Environment; return the new commit, "" when nothing differs.

    ``gone``: nothing is left of it. While it is being deleted and not ``gone`` yet, what stands is left as it is:
    it takes away the Applications. Call it outside a transaction.

    :raises PlatformForeignCommit: somebody else wrote; an incident says so.
    :raises ManifestsRefused: the rows contradict each other; an incident says so and what stood there stays.
    """
    with _one_writer():
        # Read again under the lock: whoever waited longest must not write what is oldest.
        row = Environment.every.select_related("organization").get(pk=environment.pk)
        is_gone = gone or row.status == Environment.Status.DELETED
        if row.status == Environment.Status.DELETING and not is_gone:
            return ""
        if is_gone and Environment.objects.filter(name=row.name).exclude(pk=row.pk).exists():
            return ""  # its name is another one's by now
        return _write(row.name, {} if is_gone else _desired(row), now=now)


def sync_platform(*, now: datetime) -> int:
    """Make the repository say what the rows say of every Environment; return how many commits that took.

    One Environment that cannot be rendered stops only itself. A folder goes only when a row says that its Environment
    was deleted: rows that are not found are no reason to remove anything.

    :raises PlatformForeignCommit: somebody else wrote; an incident says so.
    """
    written = 0
    live = Environment.objects.order_by("pk")
    for environment in live.iterator(chunk_size=500):
        written += _sync_one(environment, now=now)
    known = set(live.values_list("name", flat=True))
    for name in sorted(_names_standing() - known):
        deleted = Environment.every.filter(name=name, status=Environment.Status.DELETED).last()
        if deleted is not None:
            written += _sync_one(deleted, now=now)
        else:
            open_incident(kind="platform_unknown_environment", subject=name, detail=f"{NAME}: environments/{name}")
    return written


def _sync_one(environment: Environment, *, now: datetime) -> int:
    try:
        return int(bool(sync_environment(environment, now=now)))
    except PlatformForeignCommit:
        raise
    except DomainError as error:
        log.warning("platform_environment_refused", environment=environment.name, reason=error.message)
        return 0


@contextmanager
def _one_writer() -> Iterator[None]:
    """Keep every other writer out. The lock is the connection's, so it ends with a process that dies."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCKED, [_LOCK])
        try:
            yield
        finally:
            cursor.execute(_UNLOCKED, [_LOCK])


def _desired(environment: Environment) -> dict[str, bytes]:
    try:
        files = desired_platform_files(environment)
    except DomainError as error:
        open_incident(kind="platform_refused", subject=environment.name, detail=error.message)
        raise
    resolve_subject(kinds=["platform_refused"], subject=environment.name)
    return files


def _write(name: str, files: Mapping[str, bytes], *, now: datetime) -> str:
    """Write one commit with what differs; call as the one writer."""
    repository = open_or_create(platform_repository_path())
    head = repository.head()
    _check_ours(head)
    base = _standing(repository, head, name)
    changes = changes_between(base, {**files, _README: readme()})
    if not changes or (head is None and not files):
        return ""
    us = Person("Catalyst", f"catalyst@{get_sovereign().domain}")
    subject = _subject(name, {path for path in base if path != _README}, files, changes)
    sha = repository.write_commit(
        head,
        changes,
        allowed=PLATFORM_PATHS,
        author=us,
        committer=us,
        message=build_message(subject),
        when=now,
    )
    fp("platform.commit.after_object")
    _record(sha=sha, environment=name)
    fp("platform.commit.after_record")
    repository.update_branch(head, sha)
    fp("platform.commit.after_push")
    return sha


def _check_ours(head: str | None) -> None:
    if head is not None and not Outbox.objects.filter(dedup_key=_key(head)).exists():
        open_incident(kind="platform_foreign_commit", subject=NAME, detail=head)
        raise PlatformForeignCommit(
            _("%(repository)s holds a commit that is not ours; writing stops until that is cleared.")
            % {"repository": NAME}
        )
    resolve_subject(kinds=["platform_foreign_commit"], subject=NAME)


@use_case
def _record(*, sha: str, environment: str) -> None:
    """Say that this commit is ours. The same call again is harmless."""
    if not Outbox.objects.filter(dedup_key=_key(sha)).exists():
        payload = {"repository": NAME, "commit": sha, "environment": environment}
        outbox.publish(topic=_TOPIC, key=_key(sha), stream="sovereign", payload=payload)


def _key(sha: str) -> str:
    return f"{_TOPIC}:{sha}"


def _standing(repository: BareRepository, head: str | None, name: str) -> dict[str, bytes]:
    """Return the files that stand there of one Environment, in whichever host cluster, and the README."""
    if head is None:
        return {}
    first = repository.read_file(head, _README)
    clusters = re.compile(rf"clusters/[^/]+/{re.escape(name)}\.yaml")
    return {
        **({} if first is None else {_README: first}),
        **repository.read_tree(head, folder="clusters", matching=clusters),
        **repository.read_tree(head, folder=f"environments/{name}"),
    }


def _names_standing() -> set[str]:
    if not platform_repository_path().exists():
        return set()
    repository = open_or_create(platform_repository_path())
    head = repository.head()
    files = repository.read_tree(head, folder="clusters") if head else {}
    return {path.rpartition("/")[2].removesuffix(".yaml") for path in files}


def _subject(name: str, before: set[str], files: Mapping[str, bytes], changes: Mapping[str, bytes | None]) -> str:
    if not files:
        return f"remove {name}"
    if not before:
        return f"add {name}"
    changed = sorted({path.rpartition("/")[2] for path in changes})
    more = f" and {len(changed) - _LISTED} more" if len(changed) > _LISTED else ""
    return f"change {name}: {', '.join(changed[:_LISTED])}{more}"
