"""Two at once at a Change that waits: both yeses count, and a yes never lands on what has ended."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from catalyst.core.errors import DomainError
from catalyst.core.models import Outbox
from marketplace.models import Change, ChangeApproval
from marketplace.services import change_gates, changes
from marketplace.services.change_gates import advance_change, approve_change
from tenancy.models import AuditEntry, Environment, Organization, User
from tests.marketplace.policy_rows import APPROVALS, NOW, environment_of, member, rule_by, waiting_change

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def officer(organization: Organization) -> User:
    return member(organization, "security-officer")


@pytest.fixture
def change(organization: Organization, org_admin: User) -> Change:
    prod = environment_of(organization)
    rule_by(prod, APPROVALS, by=org_admin)
    return waiting_change(prod, member(organization, "org-developer"))


def at_once(*works: Callable[[], Any]) -> list[str]:
    """Start all at one barrier; return their outcomes, sorted."""
    barrier, outcomes = threading.Barrier(len(works)), []

    def run(work: Callable[[], Any]) -> None:
        try:
            connection.ensure_connection()
            barrier.wait(10)
            outcomes.append(str(work()))
        except DomainError as refusal:
            outcomes.append(refusal.code)
        except Exception as error:
            outcomes.append(repr(error))
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(outcomes)


def yes(change: Change, actor: User) -> Callable[[], Any]:
    def say() -> str:
        approve_change(change_id=change.pk, preview_id=str(change.preview_id), actor=actor, now=NOW)
        return "done"

    return say


def test_two_yeses_at_once_both_count(change: Change, officer: User, org_admin: User) -> None:
    outcomes = at_once(yes(change, officer), yes(change, org_admin), yes(change, officer))

    assert outcomes == ["done", "done", "done"]
    assert ChangeApproval.objects.count() == AuditEntry.objects.filter(action="change.approved").count() == 2
    assert advance_change(change_id=change.pk, now=NOW)


def test_two_sweeps_at_once_let_it_through_once(change: Change, officer: User, org_admin: User) -> None:
    yes(change, officer)()
    yes(change, org_admin)()

    def sweep() -> bool:
        return advance_change(change_id=change.pk, now=NOW)

    assert at_once(sweep, sweep) == ["False", "True"]


def _late_yes(change: Change, officer: User, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let a yes be on its way, past its first look at the Change, while the sweep ends that Change."""
    looked, ended = threading.Event(), threading.Event()
    role_of = change_gates._role_of

    def slow(*arguments: Any, **more: Any) -> str:
        looked.set()
        ended.wait(1)
        return role_of(*arguments, **more)

    monkeypatch.setattr(change_gates, "_role_of", slow)

    def sweep() -> str:
        looked.wait(10)
        advance_change(change_id=change.pk, now=NOW)
        ended.set()
        return "ended"

    Environment.objects.filter(pk=change.environment_id).update(head_commit="c" * 40)
    return at_once(yes(change, officer), sweep)


def _approved_after_the_end(change: Change) -> bool:
    """Tell whether the trail has a yes to a Change that had ended by then."""
    stories = {"change.superseded", "change.approved"}
    rows = [row.topic for row in Outbox.objects.order_by("pk") if row.topic in stories]
    return rows == ["change.superseded", "change.approved"]


def test_a_yes_does_not_land_on_what_has_ended(change: Change, officer: User, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _late_yes(change, officer, monkeypatch) == ["done", "ended"]

    assert Change.objects.get(pk=change.pk).state == "superseded"
    assert not _approved_after_the_end(change)


def test_without_the_lock_it_would(change: Change, officer: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def unlocked(change_id: Any) -> Change:
        return Change.objects.select_related("environment", "organization", "author").get(pk=change_id)

    monkeypatch.setattr(changes, "lock_change", unlocked)

    assert _late_yes(change, officer, monkeypatch) == ["done", "ended"]

    assert _approved_after_the_end(change)
