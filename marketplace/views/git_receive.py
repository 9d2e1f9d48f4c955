"""What every address that takes a push has in common: reading the request and answering in git's own words."""

import zlib
from http import HTTPStatus
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError
from catalyst.core.gitops.push_protocol import MAIN_REFERENCE, NOTHING, Command, Push, answer, read_push
from marketplace.views.git_access import plain_text

RECEIVE: Final = "git-receive-pack"


def is_push(request: HttpRequest, path_info: str) -> bool:
    return path_info == RECEIVE or request.META.get("QUERY_STRING", "") == f"service={RECEIVE}"


def refuse_other(request: HttpRequest, path_info: str) -> HttpResponse | None:
    """Return the refusal of what is no request of the git program; None when it is the body of a push."""
    if request.method != "POST" or path_info != RECEIVE:
        return plain_text(HTTPStatus.NOT_FOUND, _("Only git clone, fetch and push (smart HTTP) are served here."))
    if request.content_type != f"application/x-{RECEIVE}-request":
        return plain_text(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, _("This address is for the git program."))
    return None


def read_body(request: HttpRequest, *, most: int, in_pieces: str, too_large: str) -> bytes | HttpResponse:
    """Return what was sent, inflated, or the refusal: ``too_large``, or ``in_pieces`` of unknown number."""
    if not request.META.get("CONTENT_LENGTH"):
        return _refuse(b"", in_pieces)
    raw = request.read(most + 1)
    if len(raw) > most:
        return _refuse(raw, too_large)
    if request.headers.get("Content-Encoding", "") not in {"gzip", "x-gzip"}:
        return raw
    inflater = zlib.decompressobj(wbits=31)
    try:
        plain = inflater.decompress(raw, most)
    except zlib.error:
        return plain_text(HTTPStatus.BAD_REQUEST, _("This address is for the git program."))
    return plain if inflater.eof else plain_text(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _("The request is too large."))


def git_answer(content: bytes, kind: str) -> HttpResponse:
    response = HttpResponse(content, content_type=f"application/x-{RECEIVE}-{kind}")
    response["Cache-Control"] = "no-cache, max-age=0, must-revalidate"
    return response


def _refuse(begun: bytes, message: str) -> HttpResponse:
    """Refuse what was not read whole, in words that the git program shows: of other errors it shows the number only."""
    try:
        push = read_push(begun)
    except DomainError:
        push = Push((Command(NOTHING, NOTHING, MAIN_REFERENCE),), (), has_bands=True, pack=b"")
    refusals = {each.reference: _("nothing has changed") for each in push.commands}
    return git_answer(answer(push, said=f"{message}\n", refusals=refusals), "result")
