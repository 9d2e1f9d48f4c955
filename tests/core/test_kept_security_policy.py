"""The content security policy is written out once, and says what the library would say each time."""

from typing import Any

import pytest
from csp.decorators import csp_exempt, csp_update
from csp.middleware import CSPMiddleware
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from catalyst.core.http.middleware import ContentSecurityPolicy

HEADER = "Content-Security-Policy"


def plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


def with_nonce(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(request.csp_nonce))  # type: ignore[attr-defined]


def with_header(request: HttpRequest) -> HttpResponse:
    return HttpResponse(headers={HEADER: "default-src 'none'"})


def directives(answer: Any) -> set[str]:
    policy: str = answer.get(HEADER, "")
    nonce = answer.content.decode()
    return {part.strip() for part in (policy.replace(nonce, "…") if nonce else policy).split(";")}


@pytest.mark.parametrize(
    "view", [plain, with_nonce, with_header, csp_update({"img-src": "https://example.com"})(plain), csp_exempt()(plain)]
)
def test_says_what_the_library_says(view: Any) -> None:
    def ask(middleware: type[CSPMiddleware]) -> set[str]:
        return directives(middleware(view)(RequestFactory().get("/")))

    assert ask(ContentSecurityPolicy) == ask(CSPMiddleware)


def test_the_usual_policy_forbids_what_is_not_named() -> None:
    answer: Any = ContentSecurityPolicy(plain)(RequestFactory().get("/"))

    assert {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} < directives(answer)


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/healthz", "/api/v1/organizations/", "/en/nowhere/"])
def test_stands_on_every_answer(path: str, client: Any) -> None:
    assert "default-src 'none'" in client.get(path)[HEADER]
