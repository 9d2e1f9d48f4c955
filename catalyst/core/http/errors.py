"""Errors outside any view: pages in the reader's language, problem documents for programs.

Both carry a reference that support can find in the logs.
"""

from http import HTTPStatus

import structlog
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from catalyst.core.http.problems import CODES, CONTENT_TYPE, problem

#: What programs call; the webhooks and live streams answer by themselves.
_PROGRAMS = "/api/"


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, "400.html", HTTPStatus.BAD_REQUEST)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, "403.html", HTTPStatus.FORBIDDEN)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, "404.html", HTTPStatus.NOT_FOUND)


def server_error(request: HttpRequest) -> HttpResponse:
    return _answer(request, "500.html", HTTPStatus.INTERNAL_SERVER_ERROR)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return _answer(request, "403_csrf.html", HTTPStatus.FORBIDDEN)


def _answer(request: HttpRequest, template: str, status: HTTPStatus) -> HttpResponse:
    reference = str(structlog.contextvars.get_contextvars().get("request_id", ""))
    if request.path.startswith(_PROGRAMS):
        document = problem(status=status, code=CODES[status], detail=status.description, extra={"reference": reference})
        return JsonResponse(document, status=status, content_type=CONTENT_TYPE)
    return render(request, template, {"reference": reference}, status=status)
