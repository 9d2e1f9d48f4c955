"""What nobody answers is still answered in the right form: a page for people, a problem document for programs."""

import pytest
from django.http import Http404, HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.urls import path

from catalyst.urls import urlpatterns as site
from tests.factories import SovereignFactory

pytestmark = pytest.mark.django_db

handler404 = "catalyst.core.http.errors.page_not_found"
handler500 = "catalyst.core.http.errors.server_error"


def broken(request: HttpRequest) -> HttpResponse:
    raise ValueError("a secret of the program")


def missing(request: HttpRequest) -> HttpResponse:
    raise Http404("a secret of the program")


urlpatterns = [
    path("api/broken/", broken),
    path("broken/", broken),
    path("missing/", missing),
    *site,
]


@pytest.fixture
def client() -> Client:
    SovereignFactory.create()
    return Client(raise_request_exception=False)


@override_settings(ROOT_URLCONF=__name__)
@pytest.mark.parametrize(
    ("route", "status", "code"), [("/api/broken/", 500, "internal_error"), ("/api/v1/nothing/", 404, "not_found")]
)
def test_programs_get_a_problem_document(client: Client, route: str, status: int, code: str) -> None:
    response = client.get(route)

    assert (response.status_code, response["Content-Type"]) == (status, "application/problem+json")
    assert response.json()["code"] == code
    assert b"secret" not in response.content


@override_settings(ROOT_URLCONF=__name__)
@pytest.mark.parametrize(("route", "status"), [("/broken/", 500), ("/missing/", 404), ("/nothing-here/", 404)])
def test_people_get_a_page(client: Client, route: str, status: int) -> None:
    response = client.get(route)

    assert (response.status_code, response["Content-Type"]) == (status, "text/html; charset=utf-8")
    assert b"secret" not in response.content
