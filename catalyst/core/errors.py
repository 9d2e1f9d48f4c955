"""The one base of every expected refusal.

Anything that is not a DomainError is a bug and stays a 500.
"""

from http import HTTPStatus
from typing import Any


class DomainError(Exception):
    """A refusal that a person can act on.

    ``code`` is the stable part for programs, ``message`` is safe to show. ``retry_after`` is in seconds. ``extra``
    holds further members of the problem document (RFC 9457 §3.2), for example the new quote of ``quote_changed``.
    """

    code = "domain_error"
    status: HTTPStatus = HTTPStatus.BAD_REQUEST

    def __init__(
        self,
        message: str,
        *,
        pointer: str = "",
        retry_after: int | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.pointer = pointer
        self.retry_after = retry_after
        self.extra = extra or {}


class InvalidTransition(DomainError):
    """A state machine was asked for a step that its table of moves does not have."""

    code = "invalid_transition"
    status = HTTPStatus.CONFLICT


class NotFound(DomainError):
    """The object does not exist, or the reader may not know that it does: both look the same."""

    code = "not_found"
    status = HTTPStatus.NOT_FOUND


class PermissionRefused(DomainError):
    """The reader sees the object and may not do this to it."""

    code = "permission_denied"
    status = HTTPStatus.FORBIDDEN


class Unavailable(DomainError):
    """A dependency did not answer; the same call may succeed later."""

    code = "unavailable"
    status = HTTPStatus.SERVICE_UNAVAILABLE
