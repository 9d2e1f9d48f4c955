"""One membership over HTTP: changed, ended, left. Only a session does this; no token manages members."""

from http import HTTPStatus
from typing import Any, cast
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalyst.core.errors import DomainError, NotFound
from catalyst.core.http.serializers import StrictSerializer
from catalyst.core.http.views import ApiView
from tenancy.api.scoping import get_organization
from tenancy.api.serializers import MemberOutput
from tenancy.models import Membership, Organization, User
from tenancy.selectors.organizations import list_members
from tenancy.services.memberships import change_membership, leave_organization, remove_membership


class NameWrong(DomainError):
    """What cannot be taken back is confirmed by the Organization's name."""

    code = "name_wrong"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class ChangeMemberInput(StrictSerializer):
    """What is left out stays as it is; null takes a limit away."""

    role = serializers.CharField(max_length=20, required=False)
    env_types: Any = serializers.ListField(
        child=serializers.CharField(max_length=4), max_length=10, allow_null=True, required=False
    )
    expires_at = serializers.DateTimeField(allow_null=True, required=False)


class LeaveInput(StrictSerializer):
    organization = serializers.CharField(max_length=64, help_text="The Organization's slug, once more.")


class MemberView(ApiView):
    required_permissions = {"PATCH": "member.change_role", "DELETE": "member.remove"}

    @extend_schema(request=ChangeMemberInput, responses=MemberOutput)
    def patch(self, request: Request, slug: str, membership_id: UUID) -> Response:
        """Change a member's role, Environments or end. It holds from the person's next request on."""
        organization = get_organization(request, slug, "member.change_role")
        membership = _find(organization, membership_id)
        data = ChangeMemberInput.read(request.data)
        changed = change_membership(
            membership_id=membership.pk,
            role=data.get("role", membership.role),
            env_types=data.get("env_types", membership.env_types),
            expires_at=data.get("expires_at", membership.expires_at),
            actor=cast(User, request.user),
            now=timezone.now(),
        )
        return Response(MemberOutput(changed).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, slug: str, membership_id: UUID) -> Response:
        """End a membership. It ends on the person's next request."""
        organization = get_organization(request, slug, "member.remove")
        remove_membership(membership_id=_find(organization, membership_id).pk, actor=cast(User, request.user))
        return Response(status=HTTPStatus.NO_CONTENT)


class LeaveView(ApiView):
    required_permissions = {"POST": "member.leave"}

    @extend_schema(request=LeaveInput, responses={204: None})
    def post(self, request: Request, slug: str) -> Response:
        """End all of your own memberships in the Organization."""
        organization = get_organization(request, slug, "member.leave")
        if LeaveInput.read(request.data)["organization"] != organization.slug:
            raise NameWrong(_("Type the name of the organization to confirm."), pointer="/organization")
        leave_organization(organization=organization, user=cast(User, request.user))
        return Response(status=HTTPStatus.NO_CONTENT)


def _find(organization: Organization, membership_id: UUID) -> Membership:
    membership = list_members(organization).filter(uuid=membership_id).first()
    if membership is None:
        raise NotFound(_("Not found."))
    return membership
