"""Whoever may takes the audit trail of their own Organization away, and the trail says so."""

import csv
import hashlib
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from rest_framework.test import APIClient

from tenancy.models import AuditEntry, Membership, Organization, Sovereign, User
from tenancy.services import audit_export
from tenancy.services.audit import organization_stream
from tenancy.services.environments import create_environment
from tests.factories import MembershipFactory, OrganizationFactory

pytestmark = pytest.mark.django_db(transaction=True)

AUDIT = "/api/v1/organizations/acme/audit/"
NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)


@pytest.fixture
def trail(sovereign: Sovereign, organization: Organization, org_admin: User) -> Organization:
    """Give the Organization a history of two rows, and another one a row that is nobody else's business."""
    create_environment(organization=organization, env_type="dev", actor=org_admin, now=NOW)
    create_environment(organization=organization, env_type="stg", actor="=catalyst", now=NOW)
    create_environment(organization=OrganizationFactory.create(slug="initech"), env_type="dev", actor="x", now=NOW)
    return organization


def body(answer: Any) -> str:
    return b"".join(answer.streaming_content).decode()


def test_the_whole_trail_comes_as_json_and_is_noted(
    trail: Organization, org_admin: User, api_as: Callable[..., APIClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_export, "_CHUNK", 1)

    answer = api_as(org_admin).get(AUDIT)

    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    entries = json.loads(body(answer))["entries"]
    assert [each["action"] for each in entries][-3:] == ["environment.created", "environment.created", "audit.exported"]
    assert entries[-1]["name"] == org_admin.display_name
    assert entries[-2]["name"] == ""
    assert [each["prev_hash"] for each in entries[1:]] == [each["hash"] for each in entries[:-1]]
    first = hashlib.sha256(organization_stream(trail).encode()).hexdigest()
    assert entries[0]["prev_hash"] == first
    assert {each["seq"] for each in entries} == set(range(1, len(entries) + 1))


def test_as_a_table_no_cell_is_a_formula(
    trail: Organization, org_admin: User, api_as: Callable[..., APIClient]
) -> None:
    answer = api_as(org_admin).get(f"{AUDIT}?format=csv")

    text = body(answer)
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    assert answer["Content-Disposition"] == 'attachment; filename="audit-acme.csv"'
    assert text.startswith("\ufeffseq,at,actor,")
    assert text.count("\ufeff") == 1
    assert [row["actor"] for row in rows][-2] == "'=catalyst"
    assert rows[-1]["detail"] == '{"format": "csv"}'


def test_another_format_is_refused_and_not_noted(
    trail: Organization, org_admin: User, api_as: Callable[..., APIClient]
) -> None:
    answer = api_as(org_admin).get(f"{AUDIT}?format=pdf")

    assert (answer.status_code, answer.json()["code"]) == (400, "format_unknown")
    assert not AuditEntry.objects.filter(action="audit.exported").exists()


@pytest.mark.parametrize(
    ("role", "status"),
    [(Membership.Role.SECURITY, 200), (Membership.Role.DEVELOPER, 403), (Membership.Role.BILLING, 403)],
)
def test_who_may_take_it(trail: Organization, api_as: Callable[..., APIClient], role: str, status: int) -> None:
    client = api_as(MembershipFactory.create(organization=trail, role=role).user)

    assert client.get(f"{AUDIT}?format=csv").status_code == status
    assert AuditEntry.objects.filter(action="audit.exported").count() == (status == 200)


def test_strangers_find_nothing(trail: Organization, stranger: User, api_as: Callable[..., APIClient]) -> None:
    client = api_as(stranger)

    missing = client.get("/api/v1/organizations/nobody/audit/")
    assert client.get(f"{AUDIT}?format=csv").status_code == missing.status_code == 404
