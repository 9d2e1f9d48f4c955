"""Clone and fetch of an Environment's repository: HTTP Basic with an API token as password, never a push."""

import base64
import binascii

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt

from catalyst.core.gitops.http_backend import serve
from marketplace.services.changes_repository import repository_path
from tenancy.api.authentication import use_token
from tenancy.models import ApiToken, Environment
from tenancy.selectors.permissions import can, token_allows

_PERMISSION = "git.read"


@csrf_exempt
def git_repository(request: HttpRequest, organization: str, environment: str, path_info: str) -> HttpResponseBase:
    """Serve one smart HTTP request. A stranger gets the 404 of a repository that does not exist."""
    token = _token(request)
    if token is None:
        return _ask_for_token()
    found = _find(token, organization, environment)
    if found is None:
        return HttpResponse(_("There is no such repository."), status=404, content_type="text/plain; charset=utf-8")
    query = request.META.get("QUERY_STRING", "")
    return serve(request, repository_path(found), f"/{path_info}", query)


def _token(request: HttpRequest) -> ApiToken | None:
    kind, _space, encoded = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        _user, _colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return use_token(password) if password else None


def _find(token: ApiToken, organization: str, environment: str) -> Environment | None:
    """Return the Environment if the token's owner is a live member of its Organization and the token reaches it."""
    rows = Environment.objects.select_related("organization").exclude(head_commit="")
    found = rows.filter(organization__slug=organization, name=environment).first()
    if found is None or (token.organization_id is not None and token.organization_id != found.organization_id):
        return None
    allowed = token_allows(token, _PERMISSION, found.env_type) and can(token.user, _PERMISSION, found.organization)
    return found if allowed else None


def _ask_for_token() -> HttpResponse:
    return HttpResponse(
        _("Sign in with an API token as the password."),
        status=401,
        content_type="text/plain; charset=utf-8",
        headers={"WWW-Authenticate": 'Basic realm="catalyst"'},
    )
