"""Invitations over HTTP. Only a session sends, withdraws or accepts them; no token manages members."""

from http import HTTPStatus
from typing import Any, cast
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalyst.core.errors import NotFound, PermissionRefused
from catalyst.core.http.pagination import NewestFirst, page_of
from catalyst.core.http.serializers import StrictSerializer
from catalyst.core.http.views import ApiView
from tenancy.api.authentication import token_of
from tenancy.api.permissions import SIGNED_IN
from tenancy.api.scoping import get_organization
from tenancy.api.serializers import MemberOutput
from tenancy.models import Invitation, Organization, User
from tenancy.models.user import normalize_email
from tenancy.selectors.team import list_invitations
from tenancy.services.invitation_answers import accept_invitation
from tenancy.services.invitations import invite_member, resend_invitation, revoke_invitation


class InviteInput(StrictSerializer):
    """``env_types`` null means every Environment, ``member_until`` null a membership without an end."""

    email = serializers.EmailField(max_length=254)
    role = serializers.CharField(max_length=20)
    env_types: Any = serializers.ListField(
        child=serializers.CharField(max_length=4), max_length=10, allow_null=True, default=None
    )
    member_until = serializers.DateTimeField(allow_null=True, default=None)

    def validate_email(self, value: str) -> str:
        return normalize_email(value)


class AcceptInput(StrictSerializer):
    token = serializers.CharField(max_length=100, help_text="What stands after /join/ in the link.")


class InvitationOutput(serializers.Serializer[Any]):
    """An open one; its link is in the mail and nowhere else."""

    id = serializers.UUIDField(source="uuid", read_only=True)
    email = serializers.EmailField(read_only=True)
    role = serializers.CharField(read_only=True)
    env_types: Any = serializers.ListField(child=serializers.CharField(), allow_null=True, read_only=True)
    member_until = serializers.DateTimeField(allow_null=True, read_only=True)
    sent_at = serializers.DateTimeField(read_only=True)
    expires_at = serializers.DateTimeField(read_only=True)


class InvitationListView(ApiView):
    required_permissions = {"GET": "member.invite", "POST": "member.invite"}

    @extend_schema(responses=page_of(InvitationOutput))
    def get(self, request: Request, slug: str) -> Response:
        """List the invitations that nobody accepted or withdrew."""
        organization = get_organization(request, slug, "member.invite")
        paginator = NewestFirst()
        page = paginator.paginate_queryset(list_invitations(organization), request, view=self)
        return paginator.get_paginated_response(InvitationOutput(page, many=True).data)

    @extend_schema(request=InviteInput, responses={201: InvitationOutput})
    def post(self, request: Request, slug: str) -> Response:
        """Invite an address; the mail with the link goes out at once, and works for seven days."""
        organization = get_organization(request, slug, "member.invite")
        data = InviteInput.read(request.data)
        invitation = invite_member(
            **data, organization=organization, actor=cast(User, request.user), now=timezone.now()
        )
        return Response(InvitationOutput(invitation).data, status=HTTPStatus.CREATED)


class InvitationView(ApiView):
    required_permissions = {"DELETE": "member.invite"}

    @extend_schema(responses={204: None})
    def delete(self, request: Request, slug: str, invitation_id: UUID) -> Response:
        """Withdraw an invitation."""
        organization = get_organization(request, slug, "member.invite")
        invitation = _find(organization, invitation_id)
        revoke_invitation(invitation_id=invitation.pk, actor=cast(User, request.user), now=timezone.now())
        return Response(status=HTTPStatus.NO_CONTENT)


class ResendView(ApiView):
    required_permissions = {"POST": "member.invite"}

    @extend_schema(request=None, responses=InvitationOutput)
    def post(self, request: Request, slug: str, invitation_id: UUID) -> Response:
        """Send the same link again; it works for another seven days."""
        organization = get_organization(request, slug, "member.invite")
        invitation = _find(organization, invitation_id)
        sent = resend_invitation(invitation_id=invitation.pk, actor=cast(User, request.user), now=timezone.now())
        return Response(InvitationOutput(sent).data)


class AcceptView(ApiView):
    required_permissions = {"POST": SIGNED_IN}

    @extend_schema(request=AcceptInput, responses=MemberOutput)
    def post(self, request: Request) -> Response:
        """Accept an invitation to the address that you are signed in with."""
        if token_of(request) is not None:
            raise PermissionRefused(_("This token may not do this."))
        secret = AcceptInput.read(request.data)["token"]
        membership = accept_invitation(secret=secret, user=cast(User, request.user), now=timezone.now())
        return Response(MemberOutput(membership).data)


def _find(organization: Organization, invitation_id: UUID) -> Invitation:
    invitation = list_invitations(organization).filter(uuid=invitation_id).first()
    if invitation is None:
        raise NotFound(_("Not found."))
    return invitation
