"""The Git repositories that Blueprints are pushed to: found by their row, standing at a place made of its id."""

from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext as _

from catalyst.core.errors import NotFound
from catalyst.core.gitops.repository import open_or_create
from marketplace.models import Blueprint, SourceRepository
from tenancy.models import Organization

#: No Organization can be called so: a slug has no point.
_FOLDER = ".sources"


def open_shared(organization: Organization) -> SourceRepository:
    """Return an Organization's ``shared-blueprints``, made empty the first time; safe to race."""
    row, _created = SourceRepository.objects.get_or_create(organization=organization, name=SourceRepository.SHARED)
    row.organization = organization
    open_or_create(repository_path(row))
    return row


def open_sovereign(name: str) -> SourceRepository:
    """Return the repository of one of the Sovereign's own Blueprints, made empty the first time; safe to race.

    ``name`` has the form of a Blueprint's name.
    """
    row, _created = SourceRepository.objects.get_or_create(organization=None, name=name)
    open_or_create(repository_path(row))
    return row


def find_sovereign(name: str) -> SourceRepository:
    """Return the repository of one of the Sovereign's own Blueprints.

    :raises NotFound: nobody has pushed to it yet.
    """
    row = SourceRepository.objects.filter(organization=None, name=name).first()
    if row is None:
        raise NotFound(_("There is no such repository."))
    open_or_create(repository_path(row))
    return row


def repository_path(row: SourceRepository) -> Path:
    """Return where the bare repository stands, or will stand."""
    root: Path = settings.GIT_ROOT
    return root / _FOLDER / f"{row.uuid}.git"


def source_of(row: SourceRepository) -> str:
    """Return on which shelf the Blueprints of this repository stand."""
    return str(Blueprint.Source.ORG if row.organization_id else Blueprint.Source.SOVEREIGN)
