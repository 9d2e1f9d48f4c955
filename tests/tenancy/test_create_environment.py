"""Creating an Environment."""

from datetime import UTC, datetime
from typing import Any

import pytest

from catalyst.core.crypto import SealBroken
from catalyst.core.models import Outbox
from tenancy.models import AuditEntry, Environment
from tenancy.services.environments import (
    EnvironmentExists,
    EnvironmentTypeUnknown,
    create_environment,
    ensure_environment,
    environment_flux_key,
)
from tests.factories import OrganizationFactory, UserFactory

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def test_is_named_after_organization_and_type(organization: Any) -> None:
    environment = create_environment(organization=organization, env_type="dev", actor="test", now=NOW)

    assert (environment.name, environment.status, environment.created_at) == ("acme-dev", "ready", NOW)
    assert Outbox.objects.get().payload == {
        "environment": "acme-dev",
        "environment_id": environment.pk,
        "status": "ready",
    }
    assert AuditEntry.objects.get().action == "environment.created"


def test_refuses_a_second_one_of_the_same_type(organization: Any) -> None:
    create_environment(organization=organization, env_type="dev", actor="test", now=NOW)

    with pytest.raises(EnvironmentExists) as refusal:
        create_environment(organization=organization, env_type="dev", actor="test", now=NOW)

    assert (refusal.value.code, refusal.value.status) == ("environment_exists", 409)
    assert Environment.objects.count() == Outbox.objects.count() == AuditEntry.objects.count() == 1


def test_refuses_an_unknown_type(organization: Any) -> None:
    with pytest.raises(EnvironmentTypeUnknown):
        create_environment(organization=organization, env_type="production", actor="test", now=NOW)

    assert Environment.objects.count() == 0


def test_ensuring_twice_gives_the_same_row_and_one_event(organization: Any) -> None:
    actor = UserFactory.create()

    first = ensure_environment(organization=organization, env_type="prod", actor=actor, now=NOW)
    second = ensure_environment(organization=organization, env_type="prod", actor=actor, now=NOW)

    assert first == second
    assert Outbox.objects.count() == 1


def test_the_flux_key_opens_only_in_its_own_row(organization: Any) -> None:
    ours = create_environment(organization=organization, env_type="prod", actor="test", now=NOW)
    theirs = create_environment(organization=OrganizationFactory.create(), env_type="prod", actor="test", now=NOW)
    key = environment_flux_key(ours)

    theirs.flux_key_sealed = ours.flux_key_sealed

    assert len(bytes.fromhex(key)) == 32
    with pytest.raises(SealBroken):
        environment_flux_key(theirs)
