"""Clone and fetch of an Environment's repository: HTTP Basic with an API token as password, never a push."""

import base64
import binascii
from http import HTTPStatus

from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt

from catalyst.core.errors import DomainError, NotFound, PermissionRefused
from catalyst.core.gitops.http_backend import serve
from marketplace.services.changes_repository import repository_path
from tenancy.api.authentication import use_token
from tenancy.models import ApiToken, Environment
from tenancy.selectors.organizations import ROLES_ATTRIBUTE, organizations_of
from tenancy.selectors.permissions import has_role, token_allows

_PERMISSION = "git.read"


@csrf_exempt
def git_repository(request: HttpRequest, organization: str, environment: str, path_info: str) -> HttpResponseBase:
    """Serve one smart HTTP request. A stranger gets the 404 of a repository that does not exist."""
    token = _token(request)
    if token is None:
        return _ask_for_token()
    try:
        found = _find(token, organization, environment)
    except DomainError as error:
        return _text(error.status, error.message)
    if not connection.in_atomic_block:
        connection.close()  # a clone may take long and needs no database
    return serve(request, repository_path(found), f"/{path_info}", request.META.get("QUERY_STRING", ""))


def _token(request: HttpRequest) -> ApiToken | None:
    kind, _space, encoded = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        _user, _colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return use_token(password) if password else None


def _find(token: ApiToken, organization: str, environment: str) -> Environment:
    """Return the Environment if the token's owner is a live member there and the token reaches it.

    :raises NotFound: there is none, or it is somebody else's.
    :raises PermissionRefused: the member's role, or the token's scopes, do not include fetching.
    """
    rows = Environment.objects.select_related("organization").exclude(head_commit="")
    found = rows.filter(organization__slug=organization, name=environment).first()
    if found is None or token.organization_id not in {None, found.organization_id}:
        raise NotFound(_("There is no such repository."))
    member = organizations_of(token.user, env_type=found.env_type).filter(pk=found.organization_id).first()
    if member is None or token.env_type not in {"", found.env_type}:
        raise NotFound(_("There is no such repository."))
    if not token_allows(token, _PERMISSION, env_type=found.env_type):
        raise PermissionRefused(_("This token may not fetch."))
    if not has_role(getattr(member, ROLES_ATTRIBUTE), _PERMISSION):
        raise PermissionRefused(_("Your role does not allow this."))
    return found


def _ask_for_token() -> HttpResponse:
    response = _text(HTTPStatus.UNAUTHORIZED, _("Sign in with an API token as the password."))
    response["WWW-Authenticate"] = 'Basic realm="catalyst", charset="UTF-8"'
    return response


def _text(status: HTTPStatus, message: str) -> HttpResponse:
    # The git program shows plain text to the person, each line after "remote: ".
    return HttpResponse(f"{message}\n", status=status, content_type="text/plain; charset=utf-8")
