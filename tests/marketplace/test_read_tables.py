"""Environments, Changes and Jobs as read tables: what they say, and that they are the fold of the log."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from catalyst.core.models import Outbox
from catalyst.core.outbox import as_message
from marketplace.models import Change, ChangeSummary, EnvironmentSummary, JobSummary
from marketplace.projections import CHANGES
from marketplace.services.changes import fail_change
from marketplace.services.jobs import start_job
from marketplace.services.jobs_drive import drive_jobs
from tenancy.models import Organization, Sovereign, User
from tests.marketplace import job_kinds
from tests.marketplace.deliver_rows import NOW, Desk, open_desk, publish_events
from tests.rebuilding import assert_rebuilds_equal, assert_trees_equal_rows

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk(sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any) -> Desk:
    return open_desk(organization, org_admin)


def test_a_change_and_its_environment_are_told(desk: Desk) -> None:
    change = desk.deliver()
    desk.cluster_says(change.commit, "shared-mysql", "wordpress")
    change = Change.objects.get(pk=change.pk)

    row = ChangeSummary.objects.get()
    assert (row.change_id, row.kind, row.state, row.author_id) == (change.pk, "install", "succeeded", desk.buyer.pk)
    assert (row.commit, row.seq, row.order_number) == (change.commit, 1, "OMN-2026-000001")
    told = (row.summary, row.committed_at, row.finished_at)
    assert told == (change.summary, change.committed_at, change.finished_at)
    assert abs(row.created_at - change.created_at) < timedelta(seconds=5)
    environment = EnvironmentSummary.objects.get()
    assert (environment.name, environment.env_type, environment.status) == ("acme-prod", "prod", "ready")
    assert (environment.head_commit, environment.head_seq) == (change.commit, 1)
    assert (environment.last_change_id, environment.last_change_state) == (change.pk, "succeeded")
    assert environment.observed_at is not None
    assert_rebuilds_equal()
    assert_trees_equal_rows()


def test_a_failure_and_its_reason_are_told(desk: Desk) -> None:
    change = desk.deliver()
    fail_change(change_id=change.pk, reason="It took too long.", now=NOW)
    publish_events()

    row = ChangeSummary.objects.get()
    assert (row.state, row.status_reason, row.finished_at) == ("failed", "It took too long.", NOW)
    assert EnvironmentSummary.objects.get().last_change_state == "failed"
    assert_rebuilds_equal()


def test_events_of_an_earlier_release_still_fold(desk: Desk) -> None:
    """They say neither who, nor what, nor when it ended."""
    change = desk.deliver()
    fail_change(change_id=change.pk, reason="x", now=NOW)
    for event in Outbox.objects.filter(topic__in=CHANGES.topics).order_by("pk"):
        old = {name: said for name, said in event.payload.items() if name not in {"summary", "author", "finished_at"}}
        event.payload = old
        CHANGES.apply(as_message(event))

    row = ChangeSummary.objects.get()
    assert (row.state, row.summary, row.author_id) == ("failed", "", None)
    assert row.finished_at == Outbox.objects.get(topic="change.failed").created_at


def test_a_job_is_told_with_its_steps_and_lines(organization: Organization, org_admin: User) -> None:
    with job_kinds.registered():
        with transaction.atomic(durable=True):
            job = start_job(
                kind=job_kinds.KIND, organization=organization, environment=None, subject={}, actor=org_admin, now=NOW
            )
        publish_events()
        waiting = JobSummary.objects.get()
        assert (waiting.state, waiting.steps_done, waiting.steps, waiting.last_line) == ("pending", 0, 3, 0)
        drive_jobs(owner="worker-1", now=NOW)
        publish_events()

    row = JobSummary.objects.get()
    assert (row.job_id, row.kind, row.state) == (job.pk, job_kinds.KIND.name, "succeeded")
    assert (row.steps_done, row.steps, row.last_line) == (3, 3, job.lines.count())
    assert row.finished_at == NOW
    assert_rebuilds_equal()
