"""Clone, fetch and push of an Environment's repository: HTTP Basic with an API token as password.

Fetching is git's own work. A push is taken apart here: ``main`` is the platform's, people push branches that become
Changes. Source: gitops.md §12 of the design; docs/git.md.
"""

from typing import Final

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt

from catalyst.core.errors import DomainError, PermissionRefused
from catalyst.core.gitops.change_branches import list_branches
from catalyst.core.gitops.http_backend import serve
from catalyst.core.gitops.push_protocol import MAIN_REFERENCE, advertise_branches
from marketplace.models import ChangePreview
from marketplace.services.change_push import receive_change_push
from marketplace.services.change_push_branches import follow_branches
from marketplace.services.changes_repository import repository_path
from marketplace.views.git_access import ask_for_token, missing, plain_text, token_of
from marketplace.views.git_receive import git_answer, is_push, read_body, refuse_other
from tenancy.models import ApiToken, Environment
from tenancy.selectors.organizations import ROLES_ATTRIBUTE, organizations_of
from tenancy.selectors.permissions import has_role, token_allows

_READ, _PUSH, _APPLY = "git.read", "git.push", "change.apply"
#: A pack of 1 MiB, with what stands around it.
MAX_PUSH_BYTES: Final = 1024 * 1024 + 16 * 1024


@csrf_exempt
def git_repository(request: HttpRequest, organization: str, environment: str, path_info: str) -> HttpResponseBase:
    """Serve one smart HTTP request. A stranger gets the 404 of a repository that does not exist."""
    token = token_of(request)
    if token is None:
        return ask_for_token()
    pushes = is_push(request, path_info) and settings.GIT_PUSH
    try:
        found, may_apply = _find(token, organization, environment, _PUSH if pushes else _READ)
        if pushes:
            return _receive(request, found, token, path_info, may_apply=may_apply)
    except DomainError as error:
        return plain_text(error.status, error.message)
    if not connection.in_atomic_block:
        connection.close()  # a clone may take long and needs no database
    return serve(request, repository_path(found), f"/{path_info}", request.META.get("QUERY_STRING", ""))


def _find(token: ApiToken, organization: str, environment: str, permission: str) -> tuple[Environment, bool]:
    """Return the Environment if the token's owner is a live member there who may do this, and the token reaches it.

    The second value tells whether they may apply a Change there, too.

    :raises NotFound: there is none, or it is somebody else's.
    :raises PermissionRefused: the member's role, or the token's scopes, do not include it.
    """
    rows = Environment.objects.select_related("organization").exclude(head_commit="")
    found = rows.filter(organization__slug=organization, name=environment).first()
    if found is None or token.organization_id not in {None, found.organization_id}:
        raise missing()
    member = organizations_of(token.user, env_type=found.env_type).filter(pk=found.organization_id).first()
    if member is None or token.env_type not in {"", found.env_type}:
        raise missing()
    if not token_allows(token, permission, env_type=found.env_type):
        text = _("This token may not push.") if permission == _PUSH else _("This token may not fetch.")
        raise PermissionRefused(text)
    roles = getattr(member, ROLES_ATTRIBUTE)
    if not has_role(roles, permission):
        raise PermissionRefused(_("Your role does not allow this."))
    return found, token_allows(token, _APPLY, env_type=found.env_type) and has_role(roles, _APPLY)


def _receive(
    request: HttpRequest, environment: Environment, token: ApiToken, path_info: str, *, may_apply: bool
) -> HttpResponseBase:
    if request.method == "GET" and path_info == "info/refs":
        follow_branches(environment_id=environment.pk, now=timezone.now())  # what is offered here must stand
        branches = list_branches(repository_path(environment))
        heads = {f"refs/heads/{name}": commit for name, commit in branches.items()}
        return git_answer(advertise_branches({MAIN_REFERENCE: environment.head_commit, **heads}), "advertisement")
    if other := refuse_other(request, path_info):
        return other
    too_large = _("This push has more than 1 MiB. Push less at once.")
    body = read_body(request, most=MAX_PUSH_BYTES, in_pieces=too_large, too_large=too_large)
    if isinstance(body, HttpResponse):
        return body
    answered = receive_change_push(
        environment=environment,
        body=body,
        pusher=token.user,
        may_apply=may_apply,
        address=_address,
        now=timezone.now(),
    )
    return git_answer(answered, "result")


def _address(preview: ChangePreview) -> str:
    """Return where a person looks at a preview."""
    environment = preview.environment
    place = reverse("console-preview", args=[environment.organization.slug, environment.env_type, preview.pk])
    return f"{settings.PUBLIC_URL}{place}"
