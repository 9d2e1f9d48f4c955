"""A repository that nothing needs any more becomes one file: a Git bundle, checked before the repository goes.

The bundle lies under the uuid of its Organization, so a later one of the same name never meets it.
"""

import os
import shutil
import subprocess
from http import HTTPStatus
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError
from catalyst.core.gitops.http_backend import git_environment, git_program
from catalyst.core.gitops.process import Program
from catalyst.core.gitops.repository import open_repository
from tenancy.models import Organization

_DEADLINE_SECONDS = 100.0


class ArchiveFailed(DomainError):
    """The bundle could not be made or does not hold: the repository stays."""

    code = "archive_failed"
    status = HTTPStatus.INTERNAL_SERVER_ERROR


def archive_path(organization: Organization, name: str) -> Path:
    """Return where the bundle of a repository lies, or will lie."""
    root: Path = settings.CATALYST_HOME / "archive"
    return root / str(organization.uuid) / f"{name}.bundle"


def archive_repository(repository: Path, bundle: Path) -> bool:
    """Replace a bare repository by a checked bundle; False when it held no commit. Safe to repeat at any point.

    :raises ArchiveFailed: the bundle is not whole; the repository is as before.
    """
    if not repository.exists():
        return bundle.exists()
    has_commits = open_repository(repository).head() is not None
    if has_commits:
        bundle.parent.mkdir(parents=True, exist_ok=True)
        # One name for each try: two workers never write one file.
        new = bundle.with_suffix(f".{os.getpid()}.new")
        try:
            _git(repository, "bundle", "create", str(new), "--all")
            _git(repository, "bundle", "verify", str(new))
            new.replace(bundle)
        finally:
            new.unlink(missing_ok=True)
    shutil.rmtree(repository)
    return has_commits


def _git(repository: Path, *arguments: str) -> None:
    environment = git_environment({"safe.directory": "*", "pack.threads": "1"})
    program = Program(
        [git_program(), *arguments],
        folder=repository,
        environment=environment,
        stderr=subprocess.DEVNULL,
        deadline=_DEADLINE_SECONDS,
    )
    program.output.read()
    if program.wait() != 0:
        raise ArchiveFailed(_("The repository could not be archived, so nothing of it was deleted."))
