"""Middleware with no business noun: security headers, and refusals of HTML views."""

from collections.abc import Callable
from typing import Any

import structlog
from csp.constants import HEADER
from csp.middleware import CSPMiddleware
from csp.utils import build_policy
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from catalyst.core.errors import DomainError
from catalyst.core.http.address import client_address

View = Callable[[HttpRequest], HttpResponse]


def security_headers(get_response: View) -> View:
    """Add the headers that Django has no setting for; private pages are never stored."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        user = getattr(request, "user", None)
        if user is not None and user.is_authenticated:
            response.headers.setdefault("Cache-Control", "private, no-store")
        return response

    return middleware


class ContentSecurityPolicy(CSPMiddleware):
    """The library's middleware, with the policy of the settings written out once instead of for every answer."""

    def __init__(self, get_response: Any) -> None:
        super().__init__(get_response)
        self._usual = build_policy()

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        has_its_own = any(name.startswith("_csp_") for name in (*vars(response), *vars(request)))
        if has_its_own or settings.DEBUG or not self._usual:
            return super().process_response(request, response)
        response.headers.setdefault(HEADER, self._usual)
        return response


def log_address(get_response: View) -> View:
    """Name the caller's address in every line of the request's log, by the rule that everything else follows."""

    def middleware(request: HttpRequest) -> HttpResponse:
        structlog.contextvars.bind_contextvars(ip=client_address(request))
        return get_response(request)

    return middleware


class domain_errors:  # noqa: N801  (middleware entries read as functions in the settings)
    """Show a refusal that an HTML view did not handle as a page that says what to do."""

    def __init__(self, get_response: View) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, DomainError):
            return None
        template = "404.html" if error.status == 404 else "refusal.html"
        response = render(request, template, {"error": error}, status=error.status)
        if error.retry_after is not None:
            response.headers["Retry-After"] = str(error.retry_after)
        return response
