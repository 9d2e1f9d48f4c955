"""The Git repository of an Environment: its place is computed from rows, never from input."""

from pathlib import Path

from django.conf import settings

from catalyst.core.gitops.repository import BareRepository, open_or_create
from tenancy.models import Environment


def repository_path(environment: Environment) -> Path:
    """Return where the bare repository stands, or will stand."""
    root: Path = settings.GIT_ROOT
    return root / environment.organization.slug / f"{environment.name}.git"


def repository_of(environment: Environment) -> BareRepository:
    """Open the repository, made empty when it is missing: the first Change makes the first commit."""
    return open_or_create(repository_path(environment))
