"""Errors of the API as RFC 9457 problem documents: one exception handler, one shape."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.http import Http404, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from catalyst.core.errors import DomainError
from catalyst.core.http.bodies import body_too_large

CONTENT_TYPE = "application/problem+json"

CODES = {
    HTTPStatus.BAD_REQUEST: "invalid_request",
    HTTPStatus.UNAUTHORIZED: "not_authenticated",
    HTTPStatus.FORBIDDEN: "permission_denied",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.NOT_ACCEPTABLE: "not_acceptable",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "body_too_large",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "unsupported_media_type",
    HTTPStatus.TOO_MANY_REQUESTS: "too_many_requests",
    HTTPStatus.INTERNAL_SERVER_ERROR: "internal_error",
}


def problem(
    *,
    status: int,
    code: str,
    detail: str,
    errors: list[dict[str, str]] | None = None,
    extra: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a problem document; ``code`` is the member that programs compare."""
    return {
        "type": f"/problems/{code}",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
        "code": code,
        "errors": errors or [],
        **(extra or {}),
    }


def domain_problem(error: DomainError) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the document and headers of an expected refusal."""
    errors = [{"pointer": error.pointer, "code": error.code, "detail": error.message}] if error.pointer else []
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after is not None else {}
    document = problem(status=error.status, code=error.code, detail=error.message, errors=errors, extra=error.extra)
    return document, headers


def problem_response(error: DomainError) -> JsonResponse:
    """Return the answer of an API view that is no DRF view (webhooks, health)."""
    document, headers = domain_problem(error)
    return JsonResponse(document, status=error.status, headers=headers, content_type=CONTENT_TYPE)


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """Turn refusals into problem documents; anything else stays an exception and becomes a 500."""
    if isinstance(error, RequestDataTooBig):
        error = body_too_large()
    if isinstance(error, DomainError):
        set_rollback()
        document, headers = domain_problem(error)
        return Response(document, status=error.status, headers=headers, content_type=CONTENT_TYPE)
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if not isinstance(error, exceptions.APIException):
        return None
    set_rollback()
    return _api_problem(error)


def _api_problem(error: exceptions.APIException) -> Response:
    headers: dict[str, str] = {}
    if getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = str(error.auth_header)  # type: ignore[attr-defined]
    wait = getattr(error, "wait", None)
    if wait is not None:
        headers["Retry-After"] = str(int(wait))
    status = HTTPStatus(error.status_code)
    if isinstance(error, exceptions.ValidationError):
        errors = list(_flatten(error.detail, ""))
        document = problem(status=status, code="invalid_request", detail="The request is not valid.", errors=errors)
    else:
        document = problem(status=status, code=CODES.get(status, "error"), detail=str(error.detail))
    return Response(document, status=status, headers=headers, content_type=CONTENT_TYPE)


def _flatten(detail: Any, pointer: str) -> Iterator[dict[str, str]]:
    if isinstance(detail, dict):
        for name, inner in detail.items():
            yield from _flatten(inner, pointer if name == "non_field_errors" else f"{pointer}/{name}")
    elif isinstance(detail, list):
        for position, inner in enumerate(detail):
            is_leaf = isinstance(inner, exceptions.ErrorDetail)
            yield from _flatten(inner, pointer if is_leaf else f"{pointer}/{position}")
    else:
        yield {"pointer": pointer, "code": str(getattr(detail, "code", "invalid")), "detail": str(detail)}
