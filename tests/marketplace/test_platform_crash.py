"""Whoever dies while the platform's repository is written, and two at once: the next call ends it, once."""

import threading
from typing import Any

import pytest
from django.db import connection

from catalyst.core.failpoints import Crash, armed, crash
from catalyst.core.gitops import branch
from catalyst.core.models import Incident
from marketplace.models import EnvironmentPolicy
from marketplace.services import platform_repository
from marketplace.services.platform_repository import PlatformForeignCommit, sync_environment
from tenancy.models import Environment, Organization, Sovereign, User
from tests.factories import EnvironmentFactory
from tests.marketplace.killing import killed_at

from .platform_rows import NOW, platform_history, platform_tree
from .platform_rows import platform_repository as opened

pytestmark = pytest.mark.django_db(transaction=True)

BEFORE_MAIN = ["platform.commit.after_object", "platform.commit.after_record"]
POINTS = [*BEFORE_MAIN, "platform.commit.after_push"]


@pytest.fixture
def environment(sovereign: Sovereign, organization: Organization, catalyst_home: Any) -> Environment:
    return EnvironmentFactory.create(organization=organization)


@pytest.mark.parametrize("point", POINTS)
def test_the_next_call_ends_what_a_killed_one_began(environment: Environment, point: str) -> None:
    killed_at(point, lambda: sync_environment(environment, now=NOW))
    assert len(platform_history()) == (point not in BEFORE_MAIN)  # control: it died where it was to die

    sync_environment(environment, now=NOW)
    sync_environment(environment, now=NOW)

    assert [commit.message for commit in platform_history()] == ["add acme-prod\n"]
    assert Incident.objects.count() == 0


@pytest.mark.parametrize("point", POINTS)
def test_dying_in_one_process_gives_the_lock_back(environment: Environment, point: str) -> None:
    with armed(point, crash), pytest.raises(Crash):
        sync_environment(environment, now=NOW)

    assert sync_environment(environment, now=NOW) == "" or point in BEFORE_MAIN
    assert len(platform_history()) == 1


def test_a_commit_that_was_recorded_too_late_would_be_foreign(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: recording after the branch has moved makes our own commit a stranger's when we die between."""
    monkeypatch.setattr(platform_repository, "_record", lambda **_values: None)
    with armed("platform.commit.after_push", crash), pytest.raises(Crash):
        sync_environment(environment, now=NOW)

    with pytest.raises(PlatformForeignCommit):
        sync_environment(environment, now=NOW)


def _at_once(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """Let a second writer come when the first one has read the rows and not moved ``main``; return its errors."""
    errors: list[BaseException] = []
    begun = threading.Event()

    def second() -> None:
        begun.set()
        try:
            sync_environment(Environment.objects.get(pk=environment.pk), now=NOW)
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads: list[threading.Thread] = []

    def pause() -> None:
        if threads:
            return
        threads.append(threading.Thread(target=second))
        threads[0].start()
        begun.wait()
        threads[0].join(0.3)

    with armed("platform.commit.after_record", pause):
        try:
            sync_environment(environment, now=NOW)
        except branch.BranchMoved as error:
            errors.append(error)
    threads[0].join()
    return errors


def test_two_writers_at_once_make_one_commit_each_in_turn(
    environment: Environment, org_admin: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = _at_once(environment, monkeypatch)

    assert (errors, len(platform_history())) == ([], 1)
    assert opened().head() == platform_history()[0].sha


def test_without_the_lock_one_of_them_fails(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: compare-and-swap still keeps main whole, but a writer loses and has to come again."""
    monkeypatch.setattr(platform_repository, "_LOCKED", "SELECT %s")
    monkeypatch.setattr(platform_repository, "_UNLOCKED", "SELECT %s")

    errors = _at_once(environment, monkeypatch)

    assert [type(error) for error in errors] == [branch.BranchMoved]
    assert len(platform_history()) == 1


def test_the_later_writer_reads_the_rows_again(environment: Environment, org_admin: User) -> None:
    old = Environment.objects.get(pk=environment.pk)
    EnvironmentPolicy.objects.create(
        organization=environment.organization, environment=environment, rules=[], updated_by=org_admin
    )
    Environment.objects.filter(pk=environment.pk).update(status=Environment.Status.DELETING)

    assert sync_environment(old, now=NOW) == ""  # what it was given says "ready"
    Environment.objects.filter(pk=environment.pk).update(status=Environment.Status.READY)
    sync_environment(old, now=NOW)

    assert "environments/acme-prod/policy.yaml" in platform_tree()
