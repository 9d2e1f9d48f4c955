"""Two at once: what ends, ends once."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from catalyst.core.errors import DomainError
from marketplace.models import Job
from marketplace.services import environment_jobs
from tenancy.models import Environment, Organization, User
from tenancy.services import environment_life
from tests.factories import EnvironmentFactory
from tests.marketplace.deliver_rows import NOW

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def environment(organization: Organization) -> Environment:
    return EnvironmentFactory.create(organization=organization, env_type="dev")


def both_delete(environment: Environment, actor: User) -> list[str]:
    """Let two people delete it at the same moment; return their outcomes, sorted."""
    barrier, outcomes = threading.Barrier(2), []

    def run(number: int) -> None:
        try:
            connection.ensure_connection()
            barrier.wait(10)
            now = NOW + timedelta(microseconds=number)
            environment_jobs.start_deletion(environment=environment, typed="acme-dev", actor=actor, now=now)
            outcomes.append("done")
        except DomainError as refusal:
            outcomes.append(refusal.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(outcomes)


def test_an_environment_is_deleted_by_one_job(environment: Environment, org_admin: User) -> None:
    assert both_delete(environment, org_admin)[0] == "done"
    assert Job.objects.count() == 1


def test_control_without_the_lock_there_are_two(
    environment: Environment, org_admin: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = threading.Barrier(2)

    def unlocked(environment_id: int) -> Any:
        row = Environment.objects.select_related("organization").get(pk=environment_id)
        together.wait(10)
        return row

    monkeypatch.setattr(environment_life, "lock_environment", unlocked)

    assert both_delete(environment, org_admin) == ["done", "done"]
    assert Job.objects.count() == 2
