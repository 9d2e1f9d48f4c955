"""Every (route, method) of the API declares one permission, and the API does what it declares."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import override_settings
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIClient

from catalyst.core.http.views import ApiView
from tenancy.api.routes import api_methods, check_declared_permissions
from tenancy.models import Membership, Organization, User
from tenancy.selectors.permissions import ORGANIZATION_PERMISSIONS, PERSON_ONLY, SOVEREIGN_PERMISSIONS
from tests.factories import MembershipFactory

pytestmark = pytest.mark.usefixtures("sovereign")

PUBLIC_ROUTES = re.compile(
    r"api/v1/(schema|blueprints|blueprints/<str:name>|plans|addons|bundles|industries|vouchers/redeem-preview)/"
    r"|api/docs/"
)


class UndeclaredView(ApiView):
    def get(self, request: Request) -> Response:
        return Response({})


class MisspelledView(UndeclaredView):
    required_permissions = {"GET": "organisation.view"}


urlpatterns = [path("undeclared/", UndeclaredView.as_view()), path("misspelled/", MisspelledView.as_view())]


def _organization_methods() -> list[tuple[str, str, str]]:
    return [
        (route, method, permission)
        for route, _view, method, permission in api_methods()
        if permission in ORGANIZATION_PERMISSIONS
    ]


def test_every_method_declares_one() -> None:
    assert check_declared_permissions() == []


def test_only_the_price_list_is_public() -> None:
    public = {route for route, _view, _method, permission in api_methods() if permission == "public"}

    assert {route for route in public if not PUBLIC_ROUTES.fullmatch(route)} == set()


@override_settings(ROOT_URLCONF=__name__)
def test_a_method_without_one_stops_the_start() -> None:
    assert [(error.id, error.msg) for error in check_declared_permissions()] == [
        ("catalyst.E001", "GET undeclared/ declares no permission of the table."),
        ("catalyst.E001", "GET misspelled/ declares no permission of the table."),
    ]


@override_settings(ROOT_URLCONF=__name__)
@pytest.mark.parametrize("route", ["/undeclared/", "/misspelled/"])
def test_a_method_without_one_is_denied(route: str, org_admin: User, api_as: Callable[..., APIClient]) -> None:
    assert api_as(org_admin).get(route).status_code == 403


def test_nobody_reaches_a_method_that_is_not_public(api: APIClient) -> None:
    reached = []
    for route, _view, method, permission in api_methods():
        if permission != "public":
            answer = api.generic(method, "/" + _fill(route, "acme"), "{}", content_type="application/json")
            if answer.status_code != 401:
                reached.append((route, method, answer.status_code))

    assert reached == []


def test_a_foreign_organization_is_a_missing_one_on_every_route(
    organization: Organization, stranger: User, api_as: Callable[..., APIClient]
) -> None:
    client = api_as(stranger)
    different = []
    for route, method, _permission in _organization_methods():
        foreign = _ask(client, method, route, organization.slug)
        missing = _ask(client, method, route, "nowhere")
        if foreign.status_code != 404 or foreign.content != missing.content:
            different.append((route, method, foreign.status_code))

    assert different == []


@pytest.mark.parametrize("role", Membership.Role.values)
def test_a_role_reaches_exactly_what_the_table_gives_it(role: str, organization: Organization, api: APIClient) -> None:
    # By a session: what ``PERSON_ONLY`` names, no token reaches.
    api.force_login(MembershipFactory.create(organization=organization, role=role).user)
    wrong = []
    for route, method, permission in _organization_methods():
        is_refused = _ask(api, method, route, organization.slug).status_code == 403
        if is_refused == (role in ORGANIZATION_PERMISSIONS[permission]):
            wrong.append((route, method, permission))

    assert wrong == []


def test_no_token_manages_members_or_tokens(org_admin: User, api_as: Callable[..., APIClient]) -> None:
    client = api_as(org_admin)
    reached = [
        (route, method)
        for route, method, permission in _organization_methods()
        if permission in PERSON_ONLY and _ask(client, method, route, "acme").status_code != 403
    ]

    assert reached == []


def test_a_customer_reaches_nothing_of_the_staff(org_admin: User, api_as: Callable[..., APIClient]) -> None:
    client = api_as(org_admin)
    reached = [
        (route, method)
        for route, _view, method, permission in api_methods()
        if permission in SOVEREIGN_PERMISSIONS and _ask(client, method, route, "acme").status_code != 403
    ]

    assert reached == []


def _ask(client: APIClient, method: str, route: str, slug: str) -> Any:
    return client.generic(method, "/" + _fill(route, slug), "{}", content_type="application/json")


def _fill(route: str, slug: str) -> str:
    filled = re.sub(r"<slug:(slug|org|organization)>", slug, route)
    filled = re.sub(r"<uuid:\w+>", "00000000-0000-4000-8000-000000000000", filled)
    filled = re.sub(r"<int:\w+>", "1", filled)
    return re.sub(r"<(?:\w+:)?\w+>", "prod", filled)
