"""The birth of an Organization."""

from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from catalyst.core import outbox
from catalyst.core.database import violated_constraint
from tenancy.models import Membership, Organization, User
from tenancy.services.audit import append_audit, organization_stream
from tenancy.services.memberships import grant_role
from tenancy.services.slugs import SlugTaken, check_slug

_SLUG_CONSTRAINT = "organization_slug_once"


def create_organization(*, slug: str, name: str, name_ar: str = "", creator: User, now: datetime) -> Organization:
    """Create an Organization; its creator becomes ``org-admin``.

    :raises SlugInvalid: the slug breaks the naming rule.
    :raises SlugReserved: the slug belongs to the platform.
    :raises SlugTaken: another Organization has it; the unique constraint decides, so two at once cannot both win.
    """
    check_slug(slug)
    try:
        return _insert(Organization(slug=slug, name=name, name_ar=name_ar, created_at=now), creator=creator)
    except IntegrityError as error:
        if violated_constraint(error) == _SLUG_CONSTRAINT:
            raise SlugTaken(_("This name is taken. Choose another one."), pointer="/slug") from None
        raise


@transaction.atomic(durable=True)
def _insert(organization: Organization, *, creator: User) -> Organization:
    organization.save(force_insert=True)
    stream = organization_stream(organization)
    append_audit(
        stream=stream,
        actor=creator,
        action="organization.created",
        target=f"organization:{organization.uuid}",
        detail={"slug": organization.slug, "name": organization.name},
    )
    grant_role(organization=organization, user=creator, role=Membership.Role.ADMIN, actor=creator)
    outbox.publish(
        topic="organization.created",
        key=f"organization.created:{organization.pk}",
        stream=stream,
        payload={"organization": organization.slug, "organization_id": organization.pk, "status": "ready"},
    )
    return organization
