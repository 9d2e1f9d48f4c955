"""Secrets of Applications: typed or made once, sealed at once, shown to nobody, and kept in the secret store only.

A value is sealed here in one transaction with its event, brought into the store by ``secret_delivery``, and forgotten.
Source: docs/secrets.md.
"""

import re
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from django.utils.translation import gettext as _

from catalyst.core import outbox
from catalyst.core.crypto import seal, unseal
from catalyst.core.database import use_case
from catalyst.core.errors import DomainError, NotFound, PermissionRefused
from catalyst.core.failpoints import fp
from catalyst.core.secret_store import has_secret_store
from marketplace.models import Application, ApplicationSecret
from marketplace.selectors.secrets import password_names
from marketplace.services.secret_values import make_value
from tenancy.models import User
from tenancy.selectors.permissions import can
from tenancy.services.audit import append_audit, organization_stream

__all__ = ["has_secret_store"]

LONGEST = 8 * 1024
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,62}")


class SecretStoreMissing(DomainError):
    """This Sovereign has nothing to put a secret into, so none is taken."""

    code = "secret_store_missing"
    status = HTTPStatus.CONFLICT


class SecretRefused(DomainError):
    """The value cannot be a secret."""

    code = "secret_refused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class NotRotated(DomainError):
    """Its Blueprint does not say that this secret can be replaced by another one while it runs."""

    code = "secret_not_rotated"
    status = HTTPStatus.CONFLICT


@use_case
def write_secret(*, application: Application, name: str, value: str, actor: User, now: datetime) -> ApplicationSecret:
    """Seal a secret of an Application, in the place of the one that it had under this name.

    The audit trail says who set which one, never its value. Its event has it brought into the secret store.

    :raises PermissionRefused: the person may not. :raises SecretStoreMissing: it would go nowhere.
    :raises SecretRefused: it is empty or too long. :raises NotFound: nothing of the Application reads it.
    """
    if not can(actor, "secret.write", application.organization):
        raise PermissionRefused(_("Only an administrator or developer can set a secret."))
    check_value(name, value)
    if not _is_known(application, name):
        text = _("%(name)s has no secret with this name. Look at its list of secrets.") % {"name": application.slug}
        raise NotFound(text, pointer=f"/secrets/{name}")
    row = put_secret(application, name=name, value=value, actor=actor, now=now)
    _append_audit(row, "secret.written", actor)
    return row


@use_case
def rotate_secret(
    *, application: Application, name: str, issuer: str = "", actor: User, now: datetime
) -> ApplicationSecret:
    """Give a secret that the platform made another random value. The old one stays in the store's history.

    :raises PermissionRefused: the person may not. :raises SecretStoreMissing: it would go nowhere.
    :raises NotFound: there is no such secret. :raises NotRotated: its Blueprint does not allow that.
    """
    if not can(actor, "secret.rotate", application.organization):
        raise PermissionRefused(_("Only an administrator, developer or security officer can rotate a secret."))
    _check_store(name)
    rows = ApplicationSecret.objects.select_for_update(no_key=True)
    row = rows.filter(application=application, issuer=issuer, name=name[:63]).first()
    if row is None:
        raise NotFound(_("Not found."))
    if not row.is_generated or row.rotates_after_days is None:
        text = _("This secret cannot be rotated: what it protects would not open any more.")
        raise NotRotated(text, pointer=f"/secrets/{name}")
    _renew(row, make_value(row.made_as), actor=actor, now=now)
    row.keeps_first = False
    row.save()
    announce([row], "secret.set")
    _append_audit(row, "secret.rotated", actor)
    fp("secret.set.in_tx")
    return row


def check_value(name: str, value: str) -> None:
    """Refuse what cannot be a secret.

    :raises SecretStoreMissing: it would go nowhere. :raises SecretRefused: it is empty, too long, or has a bad name.
    """
    _check_store(name)
    # A zero byte ends a text for the programs that read it, and no database keeps one.
    if not value or len(value) > LONGEST or "\x00" in value:
        text = _("Write a secret of 1 to %(limit)d characters.") % {"limit": LONGEST}
        raise SecretRefused(text, pointer=f"/secrets/{name[:63]}")
    if not _NAME.fullmatch(name):
        raise SecretRefused(_("The name of a secret is that of its setting, like mailPassword."), pointer="/name")


def put_secret(application: Application, *, name: str, value: str, actor: User, now: datetime) -> ApplicationSecret:
    """Keep what a person typed until it is delivered; a step, for values that ``check_value`` has passed."""
    # Two that type the first value at once follow each other.
    Application.objects.select_for_update(no_key=True).only("pk").get(pk=application.pk)
    rows = ApplicationSecret.objects.filter(application=application, issuer="", name=name)
    row = rows.first() or ApplicationSecret(
        organization_id=application.organization_id, application=application, name=name
    )
    row.is_generated = row.keeps_first = False
    _renew(row, value, actor=actor, now=now)
    row.save()
    announce([row], "secret.set")
    fp("secret.set.in_tx")
    return row


def sealed_value(row: ApplicationSecret, value: str) -> str:
    """Seal a value for the place of its row."""
    return seal(value, place=_place(row), scope=_scope(row))


def open_value(row: ApplicationSecret) -> str:
    """Open the value of a row that is not delivered yet.

    :raises SealBroken: it was moved or altered, or its master key is gone.
    """
    return unseal(row.ciphertext, place=_place(row), scope=_scope(row))


def announce(rows: Iterable[ApplicationSecret], topic: str, **payload: Any) -> None:
    """Append one event for secrets of one entry, by their names alone; a step."""
    names = {row.name: row for row in rows}
    row = next(iter(names.values()))
    application = row.application
    outbox.publish(
        topic=topic,
        # Set again is a fact of its own.
        key=f"{topic}:{application.pk}:{row.issuer}:{uuid.uuid4().hex}",
        stream=organization_stream(application.organization),
        payload={
            "organization_id": application.organization_id,
            "environment_id": application.environment_id,
            "application_id": application.pk,
            "application": application.slug,
            "issuer": row.issuer,
            "names": sorted(names),
            **payload,
        },
    )


def _renew(row: ApplicationSecret, value: str, *, actor: User | None, now: datetime) -> None:
    row.ciphertext = sealed_value(row, value)
    row.set_at, row.set_by, row.delivered_at = now, actor, None
    row.next_attempt_at, row.attempts, row.last_error = now, 0, ""


def _is_known(application: Application, name: str) -> bool:
    if name in password_names(application.blueprint_version):
        return True
    return ApplicationSecret.objects.filter(application=application, issuer="", name=name).exists()


def _check_store(name: str) -> None:
    if not has_secret_store():
        text = _("Secrets cannot be set here yet: this platform has no secret store to put them into.")
        raise SecretStoreMissing(text, pointer=f"/secrets/{name[:63]}")


def _append_audit(row: ApplicationSecret, action: str, actor: User) -> None:
    application = row.application
    detail: Mapping[str, Any] = {"application": application.slug, "secret": row.name}
    detail = {**detail, "issuer": row.issuer} if row.issuer else detail
    stream = organization_stream(application.organization)
    append_audit(stream=stream, actor=actor, action=action, target=f"application:{application.pk}", detail=detail)


def _place(row: ApplicationSecret) -> str:
    # Of an own secret the place is what it was before others could issue any.
    name = f"{row.issuer}/{row.name}" if row.issuer else row.name
    return f"marketplace_applicationsecret:{row.application_id}:{name}:ciphertext"


def _scope(row: ApplicationSecret) -> str:
    return f"organization:{row.organization_id}"
