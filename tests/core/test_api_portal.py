"""The API describes itself."""

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db


def test_the_schema_is_openapi_3_1() -> None:
    response = Client().get("/api/v1/schema/", HTTP_ACCEPT="application/json")

    assert response.status_code == 200
    schema = response.json()
    assert schema["openapi"] == "3.1.0"
    assert {"get", "post"} <= schema["paths"]["/api/v1/organizations/"].keys()
    assert schema["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert schema["components"]["schemas"]["OrganizationPage"]["required"] == ["next", "previous", "results"]


def test_the_portal_loads_only_its_own_files() -> None:
    response = Client().get("/api/docs/")

    assert response.status_code == 200
    policy = response["Content-Security-Policy"]
    assert "script-src 'self';" in policy + ";"
    assert "style-src 'self' 'unsafe-inline'" in policy
    assert "https://" not in response.content.decode()


def test_no_other_page_has_the_loose_policy() -> None:
    assert "unsafe-inline" not in Client().get("/healthz")["Content-Security-Policy"]
