"""What the state of an Organization, and of an Environment, lets its members do: one check for every edge.

Reading goes on for as long as there is anything. Source: docs/jobs.md.
"""

from http import HTTPStatus
from typing import Final

from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError
from tenancy.models import Environment, Organization

#: What a member may still write in an Organization that is being deleted: stop it while it can be stopped.
ALWAYS_ALLOWED: Final = frozenset({"job.cancel"})


class OrganizationSuspended(DomainError):
    """The Sovereign's staff stopped the Organization; its members read and change nothing."""

    code = "organization_suspended"
    status = HTTPStatus.CONFLICT


class OrganizationDeleting(DomainError):
    """The Organization is being deleted, or is deleted; nothing new begins in it."""

    code = "organization_deleting"
    status = HTTPStatus.CONFLICT


class EnvironmentDeleting(DomainError):
    """The Environment is being deleted, or is deleted; no new Change begins in it."""

    code = "environment_deleting"
    status = HTTPStatus.CONFLICT


def check_active(organization: Organization) -> None:
    """Check that members may change something here.

    :raises OrganizationSuspended: the staff stopped it; ``extra`` holds their reason.
    :raises OrganizationDeleting: it is being deleted, or is deleted.
    """
    if organization.state == Organization.State.SUSPENDED:
        raise OrganizationSuspended(
            _("This organization is suspended: you can read everything and change nothing. Ask support to resume it."),
            extra={"reason": organization.state_reason},
        )
    if organization.state != Organization.State.ACTIVE:
        raise OrganizationDeleting(_("This organization is being deleted, so nothing new can begin in it."))


def check_accepts_changes(environment: Environment) -> None:
    """Check that a new Change may begin here; the caller has locked the Environment's row.

    :raises EnvironmentDeleting: it is being deleted.
    """
    if environment.status in {Environment.Status.DELETING, Environment.Status.DELETED}:
        raise EnvironmentDeleting(_("This environment is being deleted, so nothing new can begin in it."))
