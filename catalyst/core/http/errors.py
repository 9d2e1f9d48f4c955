"""Error pages in the reader's language, with a reference that support can find in the logs."""

from typing import Any

import structlog
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(request, "400.html", 400)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(request, "403.html", 403)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(request, "404.html", 404)


def server_error(request: HttpRequest) -> HttpResponse:
    return _page(request, "500.html", 500)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return _page(request, "403_csrf.html", 403)


def _page(request: HttpRequest, template: str, status: int) -> HttpResponse:
    context: dict[str, Any] = {"reference": structlog.contextvars.get_contextvars().get("request_id", "")}
    return render(request, template, context, status=status)
