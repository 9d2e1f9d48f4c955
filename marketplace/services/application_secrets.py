"""Secrets of Applications: typed once, sealed at once, shown to nobody.

Source: docs/blueprints.md, "Forms"; docs/security.md, "Secrets at rest".
"""

from datetime import datetime
from http import HTTPStatus

from django.conf import settings
from django.utils.translation import gettext as _

from catalyst.core.crypto import seal
from catalyst.core.database import use_case
from catalyst.core.errors import DomainError, PermissionRefused
from marketplace.models import Application, ApplicationSecret
from tenancy.models import User
from tenancy.selectors.permissions import can
from tenancy.services.audit import append_audit, organization_stream

LONGEST = 8 * 1024


class SecretStoreMissing(DomainError):
    """This Sovereign has nothing to put a secret into, so none is taken."""

    code = "secret_store_missing"
    status = HTTPStatus.CONFLICT


class SecretRefused(DomainError):
    """The value cannot be a secret."""

    code = "secret_refused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


def has_secret_store() -> bool:
    """Tell whether secrets that are set here reach the Applications."""
    return bool(settings.SECRET_STORE)


@use_case
def write_secret(*, application: Application, name: str, value: str, actor: User, now: datetime) -> ApplicationSecret:
    """Seal a secret of an Application, in the place of the one that it had under this name.

    The audit trail says who set which one, never its value.

    :raises PermissionRefused: the person may not. :raises SecretStoreMissing: it would go nowhere.
    :raises SecretRefused: it is empty or too long.
    """
    organization = application.organization
    if not can(actor, "secret.write", organization):
        raise PermissionRefused(_("Only an administrator or developer can set a secret."))
    if not has_secret_store():
        text = _("Secrets cannot be set here yet: this platform has no secret store to put them into.")
        raise SecretStoreMissing(text, pointer=f"/secrets/{name}")
    if not value or len(value) > LONGEST:
        text = _("Write a secret of 1 to %(limit)d characters.") % {"limit": LONGEST}
        raise SecretRefused(text, pointer=f"/secrets/{name}")
    row, _is_new = ApplicationSecret.objects.update_or_create(
        application=application,
        name=name,
        defaults={"ciphertext": _sealed(application, name, value), "set_at": now, "set_by": actor},
        create_defaults={
            "organization": organization,
            "ciphertext": _sealed(application, name, value),
            "set_at": now,
            "set_by": actor,
        },
    )
    detail = {"application": application.slug, "secret": name}
    target = f"application:{application.pk}"
    append_audit(
        stream=organization_stream(organization), actor=actor, action="secret.written", target=target, detail=detail
    )
    return row


def _sealed(application: Application, name: str, value: str) -> str:
    place = f"marketplace_applicationsecret:{application.pk}:{name}:ciphertext"
    return seal(value, place=place, scope=f"organization:{application.organization_id}")
