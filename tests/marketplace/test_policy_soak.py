"""Since when an Application is ready without a break: folded from real commits and what the cluster said of them."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from catalyst.core.projections import rebuild_projection
from marketplace.models import ReadySpan
from marketplace.services.policies import PolicySubject, judge_policy
from tenancy.models import Organization, Sovereign, User
from tests.marketplace.deliver_rows import Desk
from tests.marketplace.policy_rows import SOAK, environment_of, rule_by
from tests.marketplace.upgrade_rows import configure, installed, publish, settings_of, upgrade

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk(sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any) -> Desk:
    schema = {"configSchema": settings_of("title")}
    publish("wiki", "1.2.0", spec=schema)
    publish("notes", "1.0.0", spec=schema)
    return Desk(organization, org_admin)


def say(desk: Desk, commit: str, *slugs: str, ago: float, **more: Any) -> None:
    desk.cluster_says(commit, *slugs, ago=ago, **more)


def spans() -> dict[str, tuple[str, bool]]:
    """Return of each Application its version and whether it counts as ready."""
    rows = ReadySpan.objects.order_by("application")
    return {row.application: (row.version, row.ready_since is not None) for row in rows}


def whole_rows() -> list[dict[str, Any]]:
    rows = ReadySpan.objects.order_by("environment_id", "application").values()
    return [{name: value for name, value in row.items() if name != "id"} for row in rows]


def test_time_starts_with_ready_and_ends_with_anything_else(desk: Desk) -> None:
    first = desk.deliver(desk.order("OMN-2026-000001", "bp-wiki", "bp-notes"), now=timezone.now())
    say(desk, first.commit, "wiki", ago=850, reason="Progressing")
    assert spans() == {"notes": ("1.0.0", False), "wiki": ("1.2.0", False)}

    say(desk, first.commit, "wiki", "notes", ago=800)
    since = ReadySpan.objects.get(application="wiki").ready_since
    say(desk, first.commit, "wiki", ago=700)
    say(desk, first.commit, "wiki", ago=690, reason="Progressing")
    assert ReadySpan.objects.get(application="wiki").ready_since == since

    say(desk, first.commit, "wiki", ago=600, severity="error", reason="HealthCheckFailed", message="x")
    # What is older than what is known says nothing.
    say(desk, first.commit, "wiki", ago=650)
    assert spans() == {"notes": ("1.0.0", True), "wiki": ("1.2.0", False)}

    say(desk, first.commit, "wiki", ago=500)
    again = ReadySpan.objects.get(application="wiki").ready_since
    assert since is not None
    assert again is not None
    assert again - since > timedelta(seconds=290)


def test_every_commit_that_touches_it_is_a_break_and_no_other(desk: Desk) -> None:
    first = desk.deliver(desk.order("OMN-2026-000001", "bp-wiki", "bp-notes"), now=timezone.now())
    say(desk, first.commit, "wiki", "notes", ago=850)
    publish("wiki", "1.3.0", spec={"configSchema": settings_of("title")})

    second = upgrade(desk, {"wiki": ""}, "latest")
    assert installed(desk)["wiki"] == "1.3.0"
    # A word on the commit before is a word on other bytes.
    say(desk, first.commit, "wiki", ago=800)
    assert spans() == {"notes": ("1.0.0", True), "wiki": ("1.3.0", False)}

    say(desk, second.commit, "wiki", ago=700)
    third = configure(desk, "notes", {"title": "x"})
    say(desk, third.commit, "wiki", ago=600)
    assert spans() == {"notes": ("1.0.0", False), "wiki": ("1.3.0", True)}


def test_what_is_removed_is_forgotten_and_rebuilt_rows_are_equal(desk: Desk) -> None:
    first = desk.deliver(desk.order("OMN-2026-000001", "bp-wiki", "bp-notes"), now=timezone.now())
    say(desk, first.commit, "wiki", "notes", ago=850)
    paused = desk.tell("suspended", 20)
    assert paused is not None
    assert spans() == {"notes": ("1.0.0", True), "wiki": ("1.2.0", True)}
    say(desk, paused.commit, "notes", ago=500)
    assert spans() == {"notes": ("1.0.0", False), "wiki": ("1.2.0", False)}
    desk.tell("resumed", 21)
    say(desk, desk.environment().head_commit, "wiki", ago=400)
    desk.tell("changed", 22, remove=["notes"])
    desk.statuses()
    before = whole_rows()

    rebuild_projection(name="soak")

    assert whole_rows() == before
    assert spans() == {"wiki": ("1.2.0", True)}


def test_the_rule_believes_what_was_observed(desk: Desk, organization: Organization, org_admin: User) -> None:
    first = desk.deliver(desk.order("OMN-2026-000001", "bp-wiki"), now=timezone.now())
    stg = environment_of(organization, "stg")
    rule_by(stg, {**SOAK, "sourceEnvironment": "acme-prod", "duration": "10m"}, by=org_admin)
    digest = desk.environment().applications.get(slug="wiki").blueprint_version.digest
    subject = PolicySubject(org_admin.pk, (), frozenset({digest}), "promote")

    def outcome() -> str:
        (verdict,) = judge_policy(stg, subject, now=timezone.now())
        return verdict.outcome

    assert outcome() == "waits"
    say(desk, first.commit, "wiki", ago=590)
    assert outcome() == "waits"
    say(desk, first.commit, "wiki", ago=580, severity="error", reason="HealthCheckFailed", message="x")
    ReadySpan.objects.update(observed_at=None)
    say(desk, first.commit, "wiki", ago=610)
    assert outcome() == "passes"
