"""Who asks over Git: HTTP Basic with an API token as the password, and what the git program shows of a refusal."""

import base64
import binascii
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from catalyst.core.errors import NotFound, PermissionRefused
from tenancy.api.authentication import use_token
from tenancy.models import ApiToken, Organization
from tenancy.selectors.organization_state import check_active
from tenancy.selectors.organizations import ROLES_ATTRIBUTE, organizations_of
from tenancy.selectors.permissions import can, has_role, token_allows

#: What may be done in a suspended Organization.
_READ = "git.read"


def token_of(request: HttpRequest) -> ApiToken | None:
    """Return the live token of a request, or None."""
    kind, _space, encoded = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        _user, _colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return use_token(password) if password else None


def organization_for(token: ApiToken, slug: str, permission: str) -> Organization:
    """Return the Organization when the token's owner may do this there, and the token too.

    A token of one Environment type reaches nothing that belongs to all of them.

    :raises NotFound: there is none, or it is somebody else's.
    :raises PermissionRefused: the member's role, or the token's scopes, do not include it.
    :raises OrganizationSuspended, OrganizationDeleting: it would be written to, and nothing is written there now.
    """
    found = organizations_of(token.user).filter(slug=slug).first()
    if found is None or token.organization_id not in {None, found.pk} or token.env_type:
        raise missing()
    _refuse_narrow(token, permission)
    if not has_role(getattr(found, ROLES_ATTRIBUTE), permission):
        raise PermissionRefused(_("Your role does not allow this."))
    if permission != _READ:
        check_active(found)
    return found


def check_staff(token: ApiToken, permission: str, *, visible: str) -> None:
    """Check that the token's owner is staff who may do this; ``visible`` is what lets staff know of it.

    :raises NotFound: the owner is no such staff, or the token belongs to one Organization.
    :raises PermissionRefused: the owner's role, or the token's scopes, do not include it.
    """
    if token.organization_id is not None or token.env_type or not can(token.user, visible):
        raise missing()
    _refuse_narrow(token, permission)
    if not can(token.user, permission):
        raise PermissionRefused(_("Your role does not allow this."))


def missing() -> NotFound:
    """Return what everybody gets who may not know whether a repository exists."""
    return NotFound(_("There is no such repository."))


def ask_for_token() -> HttpResponse:
    response = plain_text(HTTPStatus.UNAUTHORIZED, _("Sign in with an API token as the password."))
    response["WWW-Authenticate"] = 'Basic realm="catalyst", charset="UTF-8"'
    return response


def plain_text(status: HTTPStatus, message: str) -> HttpResponse:
    """Return a refusal as the git program shows it to a person: each line after ``remote: ``."""
    return HttpResponse(f"{message}\n", status=status, content_type="text/plain; charset=utf-8")


def _refuse_narrow(token: ApiToken, permission: str) -> None:
    if not token_allows(token, permission):
        raise PermissionRefused(
            _("This token may not do that. Use one with the scope %(scope)s.") % {"scope": permission}
        )
