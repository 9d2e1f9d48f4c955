"""``organizations``: every Organization and how many Environments it has. A pure fold of the log."""

from typing import Final

from django.db.models import F

from catalyst.core.outbox import Message
from catalyst.core.projections import Projector, register_projector
from tenancy.models import Organization, OrganizationSummary

_MOVES: Final = frozenset(
    {
        "organization.suspended",
        "organization.resumed",
        "organization.deleting",
        "organization.kept",
        "organization.deleted",
    }
)
_COUNTS: Final = {"environment.created": 1, "environment.deleted": -1}


def _apply(message: Message) -> None:
    said = message.payload
    if message.topic == "organization.created":
        OrganizationSummary.objects.update_or_create(
            organization_id=said["organization_id"],
            defaults={
                "slug": said["organization"],
                "state": Organization.State.ACTIVE,
                "created_at": message.created_at,
                "sequence": message.sequence,
            },
        )
        return
    rows = OrganizationSummary.objects.filter(organization_id=message.stream.removeprefix("organization:"))
    if message.topic in _COUNTS:
        rows.update(environments=F("environments") + _COUNTS[message.topic], sequence=message.sequence)
    else:
        rows.update(state=said["status"], state_reason=said.get("reason") or "", sequence=message.sequence)


def _clear() -> None:
    OrganizationSummary.objects.all().delete()


ORGANIZATIONS = register_projector(
    Projector(
        name="organizations",
        topics=_MOVES | {"organization.created"} | frozenset(_COUNTS),
        apply=_apply,
        clear=_clear,
    )
)
