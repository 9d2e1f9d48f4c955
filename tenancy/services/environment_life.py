"""The end of an Environment: closed for Changes, and deleted once a Job has seen everything gone.

Source: docs/jobs.md.
"""

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from catalyst.core import outbox
from catalyst.core.errors import InvalidTransition, NotFound
from tenancy.models import Environment, User
from tenancy.services.audit import append_audit, organization_stream

Status = Environment.Status


def begin_deletion(*, environment_id: int, actor: User | str, now: datetime) -> Environment:
    """Close an Environment for new Changes; call inside a transaction.

    :raises InvalidTransition: it is being deleted already.
    :raises NotFound: there is none.
    """
    environment = lock_environment(environment_id)
    if environment.status == Status.DELETING:
        raise InvalidTransition(_("This environment is being deleted already."))
    return _move(environment, Status.DELETING, "environment.deleting", actor=actor, now=now)


def give_up_deletion(*, environment_id: int, actor: User | str, now: datetime) -> Environment:
    """Open an Environment again whose deletion was stopped in time; call inside a transaction."""
    environment = lock_environment(environment_id)
    if environment.status != Status.DELETING:
        return environment
    return _move(environment, Status.READY, "environment.kept", actor=actor, now=now)


@transaction.atomic(durable=True)
def finish_deletion(*, environment_id: int, actor: User | str, now: datetime) -> None:
    """Mark an Environment as deleted: nobody finds it any more, and its type is free again. Safe to repeat.

    :raises InvalidTransition: it is not being deleted.
    """
    environment = Environment.every.select_for_update(of=("self",), no_key=True).get(pk=environment_id)
    if environment.status == Status.DELETED:
        return
    if environment.status != Status.DELETING:
        raise InvalidTransition(_("This environment is not being deleted."))
    environment.deleted_at = now
    _move(environment, Status.DELETED, "environment.deleted", actor=actor, now=now)


def lock_environment(environment_id: int) -> Environment:
    """Lock the Environment's row, as whoever plans a Change for it does; call inside a transaction.

    :raises NotFound: there is none, or it is deleted.
    """
    rows = Environment.objects.select_related("organization").select_for_update(of=("self",), no_key=True)
    environment = rows.filter(pk=environment_id).first()
    if environment is None:
        raise NotFound(_("Not found."))
    return environment


def _move(environment: Environment, to: str, topic: str, *, actor: User | str, now: datetime) -> Environment:
    environment.status = to
    # By the base manager: the row may be hidden from now on.
    Environment.every.filter(pk=environment.pk).update(status=to, deleted_at=environment.deleted_at)
    stream = organization_stream(environment.organization)
    append_audit(
        stream=stream,
        actor=actor,
        action=topic,
        target=f"environment:{environment.uuid}",
        detail={"name": environment.name},
    )
    outbox.publish(
        topic=topic,
        # A deletion may be stopped and begun again: each time is a fact of its own.
        key=f"{topic}:{environment.pk}:{int(now.timestamp() * 1_000_000)}",
        stream=stream,
        payload={"environment": environment.name, "environment_id": environment.pk, "status": to},
    )
    return environment
