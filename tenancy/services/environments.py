"""Environments: one per type, named ``{org}-{env_type}``, with the key under which Flux reports."""

import secrets
from datetime import datetime
from http import HTTPStatus

from django.db import transaction
from django.utils.translation import gettext as _

from catalyst.core import names, outbox
from catalyst.core.crypto import seal, unseal
from catalyst.core.errors import DomainError
from tenancy.models import Environment, Organization, User
from tenancy.services.audit import append_audit, organization_stream

_FLUX_KEY_BYTES = 32


class EnvironmentExists(DomainError):
    code = "environment_exists"
    status = HTTPStatus.CONFLICT


class EnvironmentTypeUnknown(DomainError):
    code = "env_type_unknown"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


def ensure_environment(*, organization: Organization, env_type: str, actor: User | str, now: datetime) -> Environment:
    """Return the Environment of this type, made when missing; call inside a transaction.

    :raises EnvironmentTypeUnknown: there is no such type.
    """
    return _get_or_insert(organization=organization, env_type=env_type, actor=actor, now=now)[0]


@transaction.atomic(durable=True)
def create_environment(*, organization: Organization, env_type: str, actor: User | str, now: datetime) -> Environment:
    """Create an Environment.

    :raises EnvironmentTypeUnknown: there is no such type.
    :raises EnvironmentExists: the Organization has one of this type.
    """
    environment, created = _get_or_insert(organization=organization, env_type=env_type, actor=actor, now=now)
    if not created:
        raise EnvironmentExists(_("This Environment exists already."), pointer="/env_type")
    return environment


def environment_flux_key(environment: Environment) -> str:
    """Return the key with which Flux signs its reports about this Environment (64 hexadecimal digits)."""
    return unseal(
        environment.flux_key_sealed,
        place=_flux_key_place(environment),
        scope=f"organization:{environment.organization_id}",
    )


def _get_or_insert(
    *, organization: Organization, env_type: str, actor: User | str, now: datetime
) -> tuple[Environment, bool]:
    if env_type not in names.ENVIRONMENT_TYPES:
        raise EnvironmentTypeUnknown(_("There is no such Environment type."), pointer="/env_type")
    wanted = Environment(
        organization=organization,
        env_type=env_type,
        name=f"{organization.slug}-{env_type}",
        # The virtual cluster is not part of this release, so there is nothing to wait for.
        status=Environment.Status.READY,
        created_at=now,
    )
    wanted.flux_key_sealed = seal(
        secrets.token_hex(_FLUX_KEY_BYTES), place=_flux_key_place(wanted), scope=f"organization:{organization.pk}"
    )
    # Two may ask at once: the constraint lets one row in, and both read that one.
    Environment.objects.bulk_create([wanted], ignore_conflicts=True)
    environment = Environment.objects.get(organization=organization, env_type=env_type)
    created = environment.uuid == wanted.uuid
    if created:
        _record(environment, organization=organization, actor=actor)
    return environment, created


def _record(environment: Environment, *, organization: Organization, actor: User | str) -> None:
    stream = organization_stream(organization)
    append_audit(
        stream=stream,
        actor=actor,
        action="environment.created",
        target=f"environment:{environment.uuid}",
        detail={"name": environment.name},
    )
    outbox.publish(
        topic="environment.created",
        key=f"environment.created:{environment.pk}",
        stream=stream,
        payload={"environment": environment.name, "environment_id": environment.pk, "status": environment.status},
    )


def _flux_key_place(environment: Environment) -> str:
    return f"tenancy_environment:{environment.uuid}:flux_key"
