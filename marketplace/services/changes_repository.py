"""The Git repository of an Environment: its place is computed from rows, never from input."""

from pathlib import Path

from django.conf import settings

from catalyst.core.gitops.repository import BareRepository, open_or_create, open_repository
from tenancy.models import Environment


def repository_path(environment: Environment) -> Path:
    """Return where the bare repository stands, or will stand."""
    root: Path = settings.GIT_ROOT
    return root / environment.organization.slug / f"{environment.name}.git"


def repository_of(environment: Environment) -> BareRepository:
    """Open the repository, made empty before the first Change, which makes the first commit.

    :raises RepositoryUnavailable: it holds commits and is not to be found; an empty one in its place would hide that.
    """
    path = repository_path(environment)
    return open_repository(path) if environment.head_commit else open_or_create(path)
