"""Two at once: the database decides, and exactly one of them wins."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from catalyst.core.errors import DomainError
from tenancy.models import AuditEntry, Environment, Membership, Organization
from tenancy.services.audit import append_audit, verify_chain
from tenancy.services.environments import create_environment
from tenancy.services.memberships import remove_membership
from tenancy.services.organizations import create_organization
from tests.factories import MembershipFactory, OrganizationFactory, UserFactory

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 8


def _race(*works: Callable[[], Any]) -> list[str]:
    """Start all at one barrier; return their outcomes, sorted: ``done`` or the code of the refusal."""
    barrier, outcomes = threading.Barrier(len(works)), []

    def run(work: Callable[[], Any]) -> None:
        try:
            connection.ensure_connection()
            barrier.wait(10)
            work()
            outcomes.append("done")
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


def test_one_slug_has_one_organization() -> None:
    people = [UserFactory.create() for _ in range(2)]
    for number in range(ROUNDS):

        def create(creator: Any, slug: str = f"acme-{number}") -> None:
            create_organization(slug=slug, name="Acme", creator=creator, now=timezone.now())

        assert _race(lambda: create(people[0]), lambda: create(people[1])) == ["done", "slug_taken"]

    assert Organization.objects.count() == Membership.objects.count() == ROUNDS


def test_one_type_has_one_environment() -> None:
    for _ in range(ROUNDS):
        organization = OrganizationFactory.create()

        def create(organization: Organization = organization) -> None:
            create_environment(organization=organization, env_type="prod", actor="test", now=timezone.now())

        assert _race(create, create) == ["done", "environment_exists"]

    assert Environment.objects.count() == ROUNDS


def test_two_administrators_who_remove_each_other_leave_one() -> None:
    for _ in range(ROUNDS):
        first = MembershipFactory.create()
        second = MembershipFactory.create(organization=first.organization)

        def remove(target: Any, actor: Any) -> None:
            remove_membership(membership_id=target.pk, actor=actor.user)

        outcomes = _race(
            lambda a=first, b=second: remove(a, b),  # type: ignore[misc]
            lambda a=second, b=first: remove(a, b),  # type: ignore[misc]
        )

        assert outcomes == ["done", "last_administrator"]
        assert Membership.objects.filter(organization=first.organization).count() == 1


def test_an_audit_chain_never_forks() -> None:
    def append() -> None:
        append_audit(stream="sovereign", actor="test", action="thing.done", target="", detail={})

    for _ in range(ROUNDS):
        assert _race(append, append, append) == ["done"] * 3

    assert verify_chain("sovereign").is_intact
    assert AuditEntry.objects.count() == 3 * ROUNDS
