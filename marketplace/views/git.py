"""Clone and fetch of an Environment's repository: HTTP Basic with an API token as password, never a push."""

from django.db import connection
from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt

from catalyst.core.errors import DomainError, PermissionRefused
from catalyst.core.gitops.http_backend import serve
from marketplace.services.changes_repository import repository_path
from marketplace.views.git_access import ask_for_token, missing, plain_text, token_of
from tenancy.models import ApiToken, Environment
from tenancy.selectors.organizations import ROLES_ATTRIBUTE, organizations_of
from tenancy.selectors.permissions import has_role, token_allows

_PERMISSION = "git.read"


@csrf_exempt
def git_repository(request: HttpRequest, organization: str, environment: str, path_info: str) -> HttpResponseBase:
    """Serve one smart HTTP request. A stranger gets the 404 of a repository that does not exist."""
    token = token_of(request)
    if token is None:
        return ask_for_token()
    try:
        found = _find(token, organization, environment)
    except DomainError as error:
        return plain_text(error.status, error.message)
    if not connection.in_atomic_block:
        connection.close()  # a clone may take long and needs no database
    return serve(request, repository_path(found), f"/{path_info}", request.META.get("QUERY_STRING", ""))


def _find(token: ApiToken, organization: str, environment: str) -> Environment:
    """Return the Environment if the token's owner is a live member there and the token reaches it.

    :raises NotFound: there is none, or it is somebody else's.
    :raises PermissionRefused: the member's role, or the token's scopes, do not include fetching.
    """
    rows = Environment.objects.select_related("organization").exclude(head_commit="")
    found = rows.filter(organization__slug=organization, name=environment).first()
    if found is None or token.organization_id not in {None, found.organization_id}:
        raise missing()
    member = organizations_of(token.user, env_type=found.env_type).filter(pk=found.organization_id).first()
    if member is None or token.env_type not in {"", found.env_type}:
        raise missing()
    if not token_allows(token, _PERMISSION, env_type=found.env_type):
        raise PermissionRefused(_("This token may not fetch."))
    if not has_role(getattr(member, ROLES_ATTRIBUTE), _PERMISSION):
        raise PermissionRefused(_("Your role does not allow this."))
    return found
