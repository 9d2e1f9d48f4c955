"""From a preview to the commit past the rules of an Environment, with real Git; and a paid installation likewise."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from catalyst.core.models import Outbox
from catalyst.core.outbox import as_message
from marketplace.models import Application, Change, EnvironmentPolicy
from marketplace.services.change_gates import advance_gates, approve_change
from marketplace.services.change_previews import PolicyRefused, apply_preview, preview_change
from marketplace.services.changes_commit import commit_changes
from marketplace.services.planner_request import ChangeRequest, Configure
from marketplace.tasks import commit_approved
from tenancy.models import Organization, Sovereign, User
from tests.marketplace.deliver_rows import Desk, publish_events
from tests.marketplace.policy_rows import APPROVALS, NOW, WINDOW, member, rule_by
from tests.marketplace.upgrade_rows import publish, ready, settings_of

pytestmark = pytest.mark.django_db(transaction=True)

#: The window of ``WINDOW`` shuts.
SHUT = NOW.replace(hour=12, minute=0)
OPEN_AGAIN = NOW.replace(day=26, hour=10, minute=0)


@pytest.fixture
def desk(sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any) -> Desk:
    publish("wiki", "1.2.0", spec={"configSchema": settings_of("title")})
    return Desk(organization, org_admin)


@pytest.fixture
def people(organization: Organization) -> list[User]:
    return [member(organization, "security-officer"), member(organization, "org-admin")]


def ask(desk: Desk, now: datetime = NOW) -> Change:
    environment = desk.environment()
    request = ChangeRequest(configure=(Configure(application="wiki", config={"title": "Ours"}),))
    preview = preview_change(environment=environment, request=request, actor=desk.buyer, now=now)
    return apply_preview(environment=environment, preview_id=preview.pk, actor=desk.buyer, now=now)


def approve(change: Change, people: list[User]) -> None:
    for person in people:
        approve_change(change_id=change.pk, preview_id=change.preview_id or "", actor=person, now=NOW)


def sweep(desk: Desk, change: Change, now: datetime) -> str:
    """Sweep and write, as beat does."""
    Change.objects.filter(pk=change.pk).update(next_action_at=NOW - timedelta(days=1))
    advance_gates(now=now)
    commit_changes(environment_id=desk.environment().pk, owner="worker-1", now=now)
    change.refresh_from_db()
    return change.state


def test_a_change_waits_for_people_and_for_its_window(desk: Desk, org_admin: User, people: list[User]) -> None:
    ready(desk, desk.deliver(desk.order("OMN-2026-000001", "bp-wiki")))
    rule_by(desk.environment(), APPROVALS, WINDOW, by=org_admin)
    head = desk.environment().head_commit
    change = ask(desk)
    assert (change.state, [gate["outcome"] for gate in change.gates]) == ("awaiting_gates", ["needs", "passes"])
    assert sweep(desk, change, NOW) == "awaiting_gates"

    approve(change, people)
    assert sweep(desk, change, SHUT) == "awaiting_gates"
    assert desk.environment().head_commit == head
    # Let through in the last second, and begun after the end: it waits again.
    advance_gates(now=SHUT - timedelta(seconds=1))
    commit_changes(environment_id=change.environment_id, owner="worker-1", now=SHUT)
    change.refresh_from_db()
    assert (change.state, change.commit, desk.environment().head_commit) == ("awaiting_gates", "", head)

    Change.objects.filter(pk=change.pk).update(next_action_at=NOW - timedelta(days=1))
    assert advance_gates(now=OPEN_AGAIN) == 1
    publish_events()
    event = Outbox.objects.filter(topic="change.gates_opened").order_by("pk").last()
    assert event is not None
    commit_changes(environment_id=change.environment_id, owner="worker-1", now=OPEN_AGAIN)
    commit_approved(as_message(event))

    change.refresh_from_db()
    assert (change.state, change.seq) == ("reconciling", 2)
    assert desk.environment().head_commit == change.commit
    assert Application.objects.get(slug="wiki").config == {"title": "Ours"}


def test_what_waited_upon_an_older_commit_is_ended(desk: Desk, org_admin: User, people: list[User]) -> None:
    first = desk.deliver(desk.order("OMN-2026-000001", "bp-wiki"))
    ready(desk, first)
    policy = rule_by(desk.environment(), APPROVALS, by=org_admin)
    change = ask(desk)
    approve(change, people)
    EnvironmentPolicy.objects.filter(pk=policy.pk).update(rules=[])
    paused = desk.tell("suspended", 20)
    assert paused is not None
    EnvironmentPolicy.objects.filter(pk=policy.pk).update(rules=[APPROVALS])

    assert sweep(desk, change, NOW) == "superseded"

    assert desk.environment().head_commit == paused.commit
    assert Application.objects.get(slug="wiki").config == {}


def test_a_paid_installation_waits_and_is_approved_without_a_preview(
    desk: Desk, org_admin: User, people: list[User]
) -> None:
    ready(desk, desk.deliver(desk.order("OMN-2026-000001", "bp-wiki")))
    rule_by(desk.environment(), APPROVALS, by=org_admin)

    change = desk.deliver(desk.order("OMN-2026-000002", "bp-wiki"))
    change.refresh_from_db()
    assert (change.state, change.preview_id) == ("awaiting_gates", None)
    approve(change, people)

    assert sweep(desk, change, NOW) == "reconciling"


def test_a_policy_that_nobody_can_read_refuses_before_anything_is_written(desk: Desk, org_admin: User) -> None:
    ready(desk, desk.deliver(desk.order("OMN-2026-000001", "bp-wiki")))
    rule_by(desk.environment(), {"kind": "score"}, by=org_admin)
    before = Change.objects.count()

    with pytest.raises(PolicyRefused):
        ask(desk)

    assert Change.objects.count() == before
