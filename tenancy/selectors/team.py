"""Invitations and tokens as an Organization's members see them."""

from django.db.models import Q, QuerySet

from tenancy.models import ApiToken, Invitation, Organization, User


def list_invitations(organization: Organization) -> QuerySet[Invitation]:
    """Return the invitations that nobody accepted or withdrew, those whose time is over among them."""
    return Invitation.objects.open().filter(organization=organization).select_related("invited_by")


def own_tokens(user: User, organization: Organization | None = None) -> QuerySet[ApiToken]:
    """Return a person's live tokens: the personal ones and, with an Organization, those that act only there."""
    mine = Q(organization__isnull=True)
    if organization is not None:
        mine |= Q(organization=organization)
    return ApiToken.objects.live().filter(mine, user=user).select_related("user", "organization")


def organization_tokens(organization: Organization) -> QuerySet[ApiToken]:
    """Return the live tokens that act only in this Organization, whoever owns them."""
    return ApiToken.objects.live().filter(organization=organization).select_related("user", "organization")
