"""Whoever dies while a Job is driven: the next worker goes on, and no step is lost or counted twice."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from catalyst.core.failpoints import Crash, armed, crash
from catalyst.core.models import Outbox
from marketplace.models import Job, JobLine
from marketplace.services import jobs_drive
from marketplace.services.job_kinds import Done
from marketplace.services.jobs import start_job
from marketplace.services.jobs_drive import drive_jobs
from tenancy.models import Organization, User
from tests.marketplace import job_kinds
from tests.marketplace.deliver_rows import LATER, NOW
from tests.marketplace.job_kinds import KIND, answers, effects, end_leases, states
from tests.marketplace.killing import killed_at

pytestmark = pytest.mark.django_db(transaction=True)

POINTS = ["job.take.after_commit", "job.step.after_effect", "job.record.in_tx"]


@pytest.fixture(autouse=True)
def _kind() -> Iterator[None]:
    with job_kinds.registered():
        yield


@pytest.fixture
def job(organization: Organization, org_admin: User) -> Job:
    return begin(organization, org_admin)


def begin(organization: Organization, actor: User) -> Job:
    with transaction.atomic(durable=True):
        return start_job(kind=KIND, organization=organization, environment=None, subject={}, actor=actor, now=NOW)


def drive(owner: str = "worker-1") -> int:
    return drive_jobs(owner=owner, now=NOW)


def recover() -> None:
    end_leases()
    drive_jobs(owner="sweeper", now=LATER)


def check_whole(job: Job) -> None:
    """Check that the Job came to its end, each step done and told exactly once, and its log has no gap."""
    assert states(job) == ["succeeded"] * 4
    assert set(effects(job)) == set(KIND.steps)
    told = Outbox.objects.filter(topic="job.step", payload__step_status="succeeded")
    assert sorted(told.values_list("payload__step", flat=True)) == sorted(KIND.steps)
    assert Outbox.objects.filter(topic="job.finished").count() == 1
    numbers = list(JobLine.objects.filter(job=job).order_by("number").values_list("number", flat=True))
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_worker_costs_only_its_lease(job: Job, point: str) -> None:
    killed_at(point, drive)
    assert drive("worker-2") == 0  # the dead one's lease lasts

    recover()

    check_whole(job)
    assert sum(effects(job).values()) == (3 if point == "job.take.after_commit" else 4)


def test_dying_at_every_point_in_turn_comes_to_the_same_end(job: Job) -> None:
    for point in POINTS * 2:
        with armed(point, crash), pytest.raises(Crash):
            drive()
        end_leases()

    recover()

    check_whole(job)


def test_control_a_worker_that_says_done_first_loses_the_step(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        # Its effect would come after the record, which it does not live to see.
        patch.setattr(jobs_drive, "_run", lambda _step, *, now: Done())
        drive()

    recover()

    assert states(job) == ["succeeded"] * 4
    with pytest.raises(AssertionError):
        check_whole(job)


def test_two_workers_never_do_one_step_at_once(job: Job) -> None:
    taken: list[int] = []
    answers["first"] = [lambda: taken.append(_elsewhere(lambda: drive("worker-2")))]

    assert drive() == 3

    assert taken == [0]
    check_whole(job)
    assert set(effects(job).values()) == {1}


def test_control_without_its_lease_a_step_is_done_by_two_and_counted_once(job: Job) -> None:
    taken: list[int] = []

    def overtake() -> None:
        end_leases()
        taken.append(_elsewhere(lambda: drive("worker-2")))

    answers["first"] = [overtake]

    assert drive() == 0  # what the slow one found out does not count

    assert taken == [3]
    assert effects(job)["first"] == 2
    check_whole(job)


def test_many_jobs_are_shared_by_two_workers(organization: Organization, org_admin: User) -> None:
    jobs = [begin(organization, org_admin) for _ in range(6)]
    barrier = threading.Barrier(2)
    completed: list[int] = []

    def work(owner: str) -> None:
        try:
            barrier.wait(10)
            completed.append(drive(owner))
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(f"worker-{number}",)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(completed) == 18
    assert [set(effects(each).values()) for each in jobs] == [{1}] * 6


def test_a_broken_job_stops_only_itself(organization: Organization, org_admin: User) -> None:
    first, second = begin(organization, org_admin), begin(organization, org_admin)
    answers["first"] = [ZeroDivisionError()]

    drive()

    assert sorted([states(first)[0], states(second)[0]]) == ["running", "succeeded"]


def test_a_job_nobody_waits_for_was_not_begun(job: Job) -> None:
    """Its deadline is the last word: nothing of it begins later."""
    drive_jobs(owner="worker-1", now=NOW + KIND.deadline + timedelta(minutes=1))

    assert states(job)[0] == "failed"
    assert effects(job) == {}


def _elsewhere(action: Callable[[], Any]) -> Any:
    """Do it on a connection of its own, as another worker does."""
    answers_of: list[Any] = []

    def run() -> None:
        try:
            answers_of.append(action())
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(20)
    return answers_of[0]
