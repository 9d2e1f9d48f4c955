"""Raw request bodies with a limit, for senders that sign bytes."""

from http import HTTPStatus

from django.http import HttpRequest
from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError


class BodyTooLarge(DomainError):
    code = "body_too_large"
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


def raw_body(request: HttpRequest, *, limit: int) -> bytes:
    """Return the bytes that were signed.

    :raises BodyTooLarge: more than ``limit`` bytes.
    """
    body = request.read(limit + 1)
    if len(body) > limit:
        raise body_too_large()
    return body


def body_too_large() -> BodyTooLarge:
    return BodyTooLarge(_("The request body is too large."))
