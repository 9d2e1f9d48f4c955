"""Clone and push of the repositories that Blueprints come from: an Organization's own, and the Sovereign's.

Source: blueprints.md §1 of the design.
"""

import re
from typing import Final

from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt

from catalyst.core.errors import DomainError
from catalyst.core.gitops.http_backend import serve
from catalyst.core.gitops.push_protocol import advertise
from catalyst.core.gitops.repository import open_or_create
from catalyst.core.names import BLUEPRINT
from marketplace.models import SourceRepository
from marketplace.services.push_blueprints import receive_push
from marketplace.services.source_repositories import find_sovereign, open_shared, open_sovereign, repository_path
from marketplace.views.git_access import (
    ask_for_token,
    check_staff,
    missing,
    organization_for,
    plain_text,
    token_of,
)
from marketplace.views.git_receive import git_answer, is_push, read_body, refuse_other
from tenancy.models import ApiToken

#: A pack of 5 MiB, with what stands around it.
MAX_PUSH_BYTES: Final = 5 * 1024 * 1024 + 64 * 1024


@csrf_exempt
def shared_blueprints(request: HttpRequest, organization: str, path_info: str) -> HttpResponseBase:
    """Serve an Organization's ``shared-blueprints``; its members have it from the beginning, empty."""
    token = token_of(request)
    if token is None:
        return ask_for_token()
    try:
        permission = "blueprint.publish" if is_push(request, path_info) else "git.read"
        row = open_shared(organization_for(token, organization, permission))
        return _answer(request, row, token, path_info)
    except DomainError as error:
        return plain_text(error.status, error.message)


@csrf_exempt
def sovereign_blueprint(request: HttpRequest, blueprint: str, path_info: str) -> HttpResponseBase:
    """Serve one of the Sovereign's own Blueprints to its staff; the first push makes it."""
    token = token_of(request)
    if token is None:
        return ask_for_token()
    try:
        check_staff(token, "catalogue.curate", visible="catalogue.view")
        if re.fullmatch(BLUEPRINT, blueprint) is None:
            raise missing()
        row = open_sovereign(blueprint) if is_push(request, path_info) else find_sovereign(blueprint)
        return _answer(request, row, token, path_info)
    except DomainError as error:
        return plain_text(error.status, error.message)


def _answer(request: HttpRequest, row: SourceRepository, token: ApiToken, path_info: str) -> HttpResponseBase:
    if not is_push(request, path_info):
        if not connection.in_atomic_block:
            connection.close()  # a clone may take long and needs no database
        return serve(request, repository_path(row), f"/{path_info}", request.META.get("QUERY_STRING", ""))
    if request.method == "GET" and path_info == "info/refs":
        head = open_or_create(repository_path(row)).head()
        return git_answer(advertise(head), "advertisement")
    if other := refuse_other(request, path_info):
        return other
    body = read_body(
        request,
        most=MAX_PUSH_BYTES,
        in_pieces=_("Send the push in one piece: git config http.postBuffer 6291456, then push again."),
        too_large=_("This push has more than 5 MiB. Push fewer Blueprints at once."),
    )
    if isinstance(body, HttpResponse):
        return body
    return git_answer(receive_push(repository=row, body=body, pusher=token.user, now=timezone.now()), "result")
