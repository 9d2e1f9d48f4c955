"""Clone and push of the repositories that Blueprints come from: an Organization's own, and the Sovereign's.

Source: blueprints.md §1 of the design.
"""

import re
import zlib
from http import HTTPStatus
from typing import Final

from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt

from catalyst.core.errors import DomainError
from catalyst.core.gitops.http_backend import serve
from catalyst.core.gitops.push_protocol import MAIN_REFERENCE, NOTHING, Command, Push, advertise, answer
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
from tenancy.models import ApiToken

#: A pack of 5 MiB, with what stands around it.
MAX_PUSH_BYTES: Final = 5 * 1024 * 1024 + 64 * 1024
_RECEIVE: Final = "git-receive-pack"


@csrf_exempt
def shared_blueprints(request: HttpRequest, organization: str, path_info: str) -> HttpResponseBase:
    """Serve an Organization's ``shared-blueprints``; its members have it from the beginning, empty."""
    token = token_of(request)
    if token is None:
        return ask_for_token()
    try:
        permission = "blueprint.publish" if _is_push(request, path_info) else "git.read"
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
        row = open_sovereign(blueprint) if _is_push(request, path_info) else find_sovereign(blueprint)
        return _answer(request, row, token, path_info)
    except DomainError as error:
        return plain_text(error.status, error.message)


def _is_push(request: HttpRequest, path_info: str) -> bool:
    return path_info == _RECEIVE or request.META.get("QUERY_STRING", "") == f"service={_RECEIVE}"


def _answer(request: HttpRequest, row: SourceRepository, token: ApiToken, path_info: str) -> HttpResponseBase:
    if not _is_push(request, path_info):
        if not connection.in_atomic_block:
            connection.close()  # a clone may take long and needs no database
        return serve(request, repository_path(row), f"/{path_info}", request.META.get("QUERY_STRING", ""))
    if request.method == "GET" and path_info == "info/refs":
        head = open_or_create(repository_path(row)).head()
        return _git(advertise(head), "advertisement")
    if request.method != "POST" or path_info != _RECEIVE:
        return plain_text(HTTPStatus.NOT_FOUND, _("Only git clone, fetch and push (smart HTTP) are served here."))
    if request.content_type != f"application/x-{_RECEIVE}-request":
        return plain_text(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, _("This address is for the git program."))
    body = _read_body(request)
    if isinstance(body, HttpResponse):
        return body
    return _git(receive_push(repository=row, body=body, pusher=token.user, now=timezone.now()), "result")


def _read_body(request: HttpRequest) -> bytes | HttpResponse:
    """Return what was sent, inflated, or the refusal: too large, or in pieces of unknown number."""
    if not request.META.get("CONTENT_LENGTH"):
        return _refuse(_("Send the push in one piece: git config http.postBuffer 6291456, then push again."))
    raw = request.read(MAX_PUSH_BYTES + 1)
    if len(raw) > MAX_PUSH_BYTES:
        return _refuse(_("This push has more than 5 MiB. Push fewer Blueprints at once."))
    if request.headers.get("Content-Encoding", "") not in {"gzip", "x-gzip"}:
        return raw
    inflater = zlib.decompressobj(wbits=31)
    try:
        plain = inflater.decompress(raw, MAX_PUSH_BYTES)
    except zlib.error:
        return plain_text(HTTPStatus.BAD_REQUEST, _("This address is for the git program."))
    return plain if inflater.eof else plain_text(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _("The request is too large."))


def _refuse(message: str) -> HttpResponse:
    """Refuse what was not read, in words that the git program shows: of other errors it shows the number only."""
    unread = Push((Command(NOTHING, NOTHING, MAIN_REFERENCE),), (), has_bands=True, pack=b"")
    return _git(answer(unread, said=f"{message}\n", refusals={MAIN_REFERENCE: _("nothing has changed")}), "result")


def _git(content: bytes, kind: str) -> HttpResponse:
    response = HttpResponse(content, content_type=f"application/x-{_RECEIVE}-{kind}")
    response["Cache-Control"] = "no-cache, max-age=0, must-revalidate"
    return response
