"""From a slug in the path to an Organization that the caller may see, with the caller's rights, in one query."""

from typing import Any

from django.utils.translation import gettext as _
from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from catalyst.core.database import fetch_one, fetch_together
from catalyst.core.errors import NotFound, PermissionRefused
from catalyst.core.rows import Rows
from tenancy.api.authentication import token_of
from tenancy.models import Organization, Sovereign
from tenancy.selectors.organization_state import ALWAYS_ALLOWED, check_active
from tenancy.selectors.organizations import ROLES_ATTRIBUTE, visible_env_types
from tenancy.selectors.permissions import has_role, token_allows
from tenancy.selectors.sovereign import FIND_SOVEREIGN, read_sovereign

_ORGANIZATION = Rows(Organization)
# ``organizations_of`` in plain SQL: every request of the API asks this, and the ORM took most of its time to build it.
_FIND = f"""
SELECT {_ORGANIZATION.columns("o")}, array_agg(DISTINCT m.role)
  FROM tenancy_organization AS o
  JOIN tenancy_membership AS m ON m.organization_id = o.id
 WHERE o.slug = %(slug)s AND o.state <> 'deleted'
   AND m.user_id = %(user)s AND (m.expires_at IS NULL OR m.expires_at > now())
   AND (%(env_type)s::text IS NULL OR m.env_types IS NULL OR %(env_type)s = ANY (m.env_types))
   AND (%(only)s::bigint IS NULL OR o.id = %(only)s)
 GROUP BY o.id
"""  # noqa: S608  (column names of our own model)


def get_organization(request: Request, slug: str, permission: str, *, env_type: str | None = None) -> Organization:
    """Return the Organization when the caller holds ``permission`` in it; with ``env_type``, for that Environment type.

    One SQL statement: the Organization comes with the caller's live roles, so nothing is read twice on a hot path.

    :raises NotAuthenticated: nobody is signed in (401).
    :raises NotFound: it does not exist, the caller does not belong to it, or the token belongs elsewhere (404, equal).
    :raises PermissionRefused: the roles, or the token's scopes, do not include the permission (403).
    :raises OrganizationSuspended: the caller would write, and nothing is written here now (409).
    :raises OrganizationDeleting: the same, because it is being deleted.
    """
    found = fetch_one(_FIND, _question(request, slug, env_type), prepared=True)
    return _checked(request, found, permission, env_type)


def get_organization_and_sovereign(
    request: Request, slug: str, permission: str, *, env_type: str | None = None
) -> tuple[Organization, Sovereign]:
    """Do as ``get_organization``, and read the Sovereign on the same way to the database: for the hottest path."""
    found, sovereign = fetch_together((_FIND, _question(request, slug, env_type)), (FIND_SOVEREIGN, {}))
    return _checked(request, found, permission, env_type), read_sovereign(sovereign)


def _question(request: Request, slug: str, env_type: str | None) -> dict[str, Any]:
    if not request.user.is_authenticated:
        raise NotAuthenticated
    token = token_of(request)
    only = token.organization_id if token is not None else None
    return {"slug": slug, "user": request.user.pk, "env_type": env_type, "only": only}


def _checked(request: Request, row: tuple[Any, ...] | None, permission: str, env_type: str | None) -> Organization:
    token, organization = token_of(request), _read(row)
    if organization is None or (token is not None and _is_outside_environment(token.env_type, env_type)):
        raise NotFound(_("Not found."))
    if token is not None and not token_allows(token, permission, env_type=env_type):
        raise PermissionRefused(_("This token may not do this."))
    if not has_role(getattr(organization, ROLES_ATTRIBUTE), permission):
        raise PermissionRefused(_("Your role does not allow this."))
    if request.method not in SAFE_METHODS and permission not in ALWAYS_ALLOWED:
        check_active(organization)
    return organization


def _read(row: tuple[Any, ...] | None) -> Organization | None:
    if row is None:
        return None
    organization = _ORGANIZATION.read(row[:-1])
    setattr(organization, ROLES_ATTRIBUTE, row[-1])
    return organization


def get_env_types(request: Request, organization: Organization) -> frozenset[str] | None:
    """Return the Environment types that the caller may see in the Organization; None means every one."""
    visible = visible_env_types(request.user, organization)
    token = token_of(request)
    if token is None or not token.env_type:
        return visible
    return frozenset({token.env_type}) & (visible if visible is not None else {token.env_type})


def _is_outside_environment(limit: str, env_type: str | None) -> bool:
    return bool(limit and env_type and limit != env_type)
