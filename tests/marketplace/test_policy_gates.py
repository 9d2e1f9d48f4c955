"""A yes to a Change that waits, and the sweep that lets it through or ends it."""

from datetime import timedelta
from typing import Any

import pytest

from catalyst.core.errors import DomainError
from catalyst.core.models import Outbox
from marketplace.models import Application, Change, ChangeApproval, EnvironmentPolicy
from marketplace.services.change_gates import LONGEST_WAIT, advance_change, advance_gates, approve_change, may_approve
from marketplace.services.changes import DEADLINE
from tenancy.models import AuditEntry, Environment, Membership, Organization, User
from tests.marketplace.policy_rows import (
    APPROVALS,
    NOW,
    SOAK,
    WINDOW,
    environment_of,
    member,
    rule_by,
    run,
    version_of,
    waiting_change,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def prod(organization: Organization) -> Environment:
    return environment_of(organization)


@pytest.fixture
def author(organization: Organization) -> User:
    return member(organization, "org-developer")


@pytest.fixture
def officer(organization: Organization) -> User:
    return member(organization, "security-officer")


@pytest.fixture
def change(prod: Environment, author: User, org_admin: User) -> Change:
    rule_by(prod, APPROVALS, WINDOW, by=org_admin)
    return waiting_change(prod, author)


def approve(change: Change, actor: User, **more: Any) -> ChangeApproval:
    asked = {"preview_id": change.preview_id, "now": NOW, **more}
    return approve_change(change_id=change.pk, actor=actor, **asked)


def state_of(change: Change) -> str:
    change.refresh_from_db()
    return change.state


def topics() -> list[str]:
    return list(Outbox.objects.filter(topic__startswith="change.").order_by("pk").values_list("topic", flat=True))


def refusal(change: Change, actor: User, **more: Any) -> str:
    before = (ChangeApproval.objects.count(), AuditEntry.objects.count(), Outbox.objects.count())
    with pytest.raises(DomainError) as refused:
        approve(change, actor, **more)
    assert (ChangeApproval.objects.count(), AuditEntry.objects.count(), Outbox.objects.count()) == before
    return refused.value.code


def test_a_change_is_let_through_when_everybody_has_agreed(change: Change, officer: User, org_admin: User) -> None:
    first = approve(change, officer)
    assert not advance_change(change_id=change.pk, now=NOW)
    assert state_of(change) == "awaiting_gates"
    assert [(gate["outcome"], gate["missing"]) for gate in change.gates] == [("needs", 1), ("passes", 0)]

    approve(change, org_admin)
    assert advance_gates(now=NOW) == 1

    assert state_of(change) == "committing"
    assert (change.deadline_at, change.is_emergency) == (NOW + DEADLINE, False)
    assert (first.role, first.preview_id) == ("security-officer", change.preview_id)
    assert topics() == ["change.approved", "change.approved", "change.gates_opened"]
    entry = AuditEntry.objects.filter(action="change.approved").order_by("pk")[0]
    assert (entry.actor, entry.target) == (f"user:{officer.uuid}", f"change:{change.pk}")
    assert entry.detail["role"] == "security-officer"


def test_the_same_yes_again_changes_nothing(change: Change, officer: User) -> None:
    approve(change, officer)

    approve(change, officer)

    assert ChangeApproval.objects.count() == AuditEntry.objects.filter(action="change.approved").count() == 1
    assert not may_approve(change, officer)


def test_refusals_change_nothing(change: Change, author: User, organization: Organization, stranger: User) -> None:
    developer = member(organization, "org-developer")

    assert refusal(change, author) == "own_change"
    assert refusal(change, author, is_emergency=True, reason="x") == "own_change"
    assert refusal(change, developer) == "not_an_approver"
    assert refusal(change, stranger) == "not_an_approver"
    assert refusal(change, developer, preview_id="0" * 64) == "preview_replaced"
    assert not may_approve(change, developer)


def test_an_emergency_is_said_in_words(change: Change, officer: User, organization: Organization) -> None:
    developer = member(organization, "org-developer")

    assert refusal(change, officer, is_emergency=True, reason="  ") == "reason_required"
    assert refusal(change, developer, is_emergency=True, reason="Down.") == "not_an_approver"


def test_an_emergency_skips_the_window_and_never_the_approvals(change: Change, officer: User, org_admin: User) -> None:
    night = NOW + timedelta(hours=9)
    approve(change, officer, is_emergency=True, reason="The shop is down.")
    approve(change, org_admin, is_emergency=True, reason="Yes.")
    assert not advance_change(change_id=change.pk, now=night)
    assert [gate["outcome"] for gate in Change.objects.get(pk=change.pk).gates] == ["needs", "passes"]

    approve(change, officer)
    approve(change, org_admin)
    assert advance_change(change_id=change.pk, now=night)

    assert state_of(change) == "committing"
    assert (change.is_emergency, change.reason) == (True, "Emergency: The shop is down.")


def test_an_approval_dies_with_its_preview(change: Change, prod: Environment, author: User, officer: User) -> None:
    approve(change, officer)
    again = waiting_change(prod, author)

    assert refusal(again, officer, preview_id=change.preview_id) == "preview_replaced"
    assert not advance_change(change_id=again.pk, now=NOW)
    assert [gate["missing"] for gate in Change.objects.get(pk=again.pk).gates] == [2, 0]


def test_a_role_lost_while_it_waits_shuts_the_gate(change: Change, officer: User, org_admin: User) -> None:
    approve(change, officer)
    approve(change, org_admin)
    Membership.objects.filter(user=officer).delete()

    assert advance_gates(now=NOW) == 0

    assert state_of(change) == "awaiting_gates"


def test_it_is_looked_at_again_when_waiting_ends(change: Change, officer: User, org_admin: User) -> None:
    approve(change, officer)
    approve(change, org_admin)
    end = NOW.replace(hour=12, minute=0)

    advance_change(change_id=change.pk, now=NOW.replace(day=26, hour=9, minute=59))

    change.refresh_from_db()
    assert change.next_action_at == NOW.replace(day=26, hour=10, minute=0)
    assert not advance_change(change_id=change.pk, now=end)
    assert advance_change(change_id=change.pk, now=end - timedelta(seconds=1))


@pytest.mark.parametrize("fault", ["base", "age"])
def test_what_is_stale_is_ended(fault: str, change: Change, prod: Environment, officer: User) -> None:
    row = Application.objects.create(
        organization=prod.organization, environment=prod, slug="wiki", blueprint_version=version_of(), change=change
    )
    now = NOW
    if fault == "base":
        Environment.objects.filter(pk=prod.pk).update(head_commit="c" * 40)
    else:
        now = NOW + LONGEST_WAIT

    assert not advance_change(change_id=change.pk, now=now)

    assert state_of(change) == "superseded"
    assert change.finished_at == now
    assert change.status_reason
    assert topics() == ["change.superseded"]
    assert refusal(change, officer) == "change_not_waiting"
    row.refresh_from_db()
    assert row.removed_by_id == change.pk


def test_a_policy_that_nobody_can_read_holds_it(change: Change) -> None:
    EnvironmentPolicy.objects.update(rules=[{"kind": "score"}])

    assert advance_gates(now=NOW) == 0

    assert state_of(change) == "awaiting_gates"
    assert [gate["outcome"] for gate in change.gates] == ["refused"]


def test_a_soak_that_is_over_lets_it_through(
    prod: Environment, organization: Organization, author: User, org_admin: User
) -> None:
    stg = environment_of(organization, "stg")
    rule_by(prod, SOAK, by=org_admin)
    change = waiting_change(prod, author)
    version = version_of()
    run(stg, version, org_admin, since=NOW)
    Application.objects.create(
        organization=organization, environment=prod, slug="wiki", blueprint_version=version, change=change
    )
    end = NOW + timedelta(hours=72)

    assert not advance_change(change_id=change.pk, now=end - timedelta(seconds=1))
    assert Change.objects.get(pk=change.pk).gates[0]["until"] == end.isoformat()
    assert advance_change(change_id=change.pk, now=end)
