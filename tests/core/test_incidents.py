"""Incidents: one open row for one thing, counted, closed by a person or by a look that finds all well."""

import pytest
from django.test import Client

from billing.models import Account
from billing.services.ledger import open_account
from catalyst.core.errors import NotFound
from catalyst.core.incidents import open_incident, resolve_gone, resolve_incident
from catalyst.core.invariants import INCIDENT, watch_invariants
from catalyst.core.models import Incident
from tenancy.models import AuditEntry, Membership, User
from tests import factories
from tests.conftest import owner_connection

pytestmark = pytest.mark.django_db


def _rows() -> list[tuple[str, int, bool]]:
    return [(row.subject, row.count, row.resolved_at is not None) for row in Incident.objects.order_by("id")]


def test_the_same_thing_again_counts_up() -> None:
    first = open_incident(kind="stray", subject="cs_1", detail="one")
    second = open_incident(kind="stray", subject="cs_1", detail="two")

    assert first == second
    assert _rows() == [("cs_1", 2, False)]
    assert Incident.objects.get().detail == "two"


def test_what_was_closed_opens_anew() -> None:
    resolve_incident(incident_id=open_incident(kind="stray", subject="cs_1"), actor="user:1")
    open_incident(kind="stray", subject="cs_1")

    assert _rows() == [("cs_1", 1, True), ("cs_1", 1, False)]


def test_a_closed_incident_is_not_closed_twice() -> None:
    incident = open_incident(kind="stray", subject="cs_1")
    resolve_incident(incident_id=incident, actor="user:1")

    with pytest.raises(NotFound):
        resolve_incident(incident_id=incident, actor="user:2")

    assert Incident.objects.get().resolved_by == "user:1"


def test_a_new_look_closes_only_what_it_did_not_find_of_its_own_kind() -> None:
    open_incident(kind="stray", subject="cs_1")
    open_incident(kind="stray", subject="cs_2")
    open_incident(kind="other", subject="cs_1")

    assert resolve_gone(kind="stray", still=["cs_2"]) == 1
    assert [row.subject for row in Incident.objects.filter(resolved_at=None).order_by("id")] == ["cs_2", "cs_1"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.breaks_invariants
def test_a_broken_invariant_is_an_incident_until_it_holds() -> None:
    sovereign, organization = factories.SovereignFactory.create(), factories.OrganizationFactory.create()
    open_account(organization=organization, sovereign=sovereign)
    with owner_connection() as owner:
        owner.execute("SET session_replication_role = replica")
        owner.execute("UPDATE billing_account SET posted_minor = 7, last_seq = 9")
        watch_invariants()
        opened = list(Incident.objects.filter(kind=INCIDENT, resolved_at=None).values_list("subject", flat=True))
        owner.execute("UPDATE billing_account SET posted_minor = 0, last_seq = 0")
        watch_invariants()

    assert {subject[:3] for subject in opened} == {"I01", "I02"}
    assert not Incident.objects.filter(resolved_at=None).exists()
    assert Account.objects.get(pk=organization.pk).posted_minor == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("role", "closes"), [("sovereign-admin", True), ("", False)])
def test_staff_close_incidents_and_nobody_else_sees_them(client: Client, role: str, closes: bool) -> None:
    user = factories.UserFactory.create(staff_role=role)
    if not role:
        factories.MembershipFactory.create(user=user, role=Membership.Role.ADMIN)
    incident = open_incident(kind="stray", subject="cs_1")
    client.force_login(User.objects.get(pk=user.pk))

    client.post("/admin/core/incident/", {"action": "resolve", "_selected_action": [str(incident)]})

    assert (Incident.objects.get().resolved_at is not None) is closes
    assert AuditEntry.objects.filter(action="incident.resolved").count() == int(closes)
