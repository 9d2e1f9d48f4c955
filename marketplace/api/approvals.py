"""Who said yes to a Change that waits, what is still missing, and one's own yes."""

from typing import Any, cast
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from catalyst.core.http.views import ApiView
from marketplace.api.applications import PERMISSION, get_environments_owner
from marketplace.models import Change
from marketplace.selectors.changes import get_change
from marketplace.services.change_gates import approve_change, judge_change
from tenancy.api.scoping import get_organization
from tenancy.models import User

_APPROVE = "change.approve"


class ApprovalInput(serializers.Serializer[Any]):
    preview = serializers.CharField(
        max_length=64, allow_blank=True, help_text="The preview that was looked at; empty for what an Order installs."
    )
    is_emergency = serializers.BooleanField(
        required=False, default=False, help_text="A yes to skip soak and window, besides the approvals."
    )
    reason = serializers.CharField(required=False, default="", allow_blank=True, max_length=500)


class ApprovalOutput(serializers.Serializer[Any]):
    approver = serializers.CharField(source="approver.display_name")
    role = serializers.CharField()
    is_emergency = serializers.BooleanField()
    reason = serializers.CharField()
    created_at = serializers.DateTimeField()


class GateOutput(serializers.Serializer[Any]):
    """``outcome``: passes, needs (``missing`` approvals), waits (``until``, where known), refused."""

    kind = serializers.CharField()
    outcome = serializers.CharField()
    text = serializers.CharField()
    until = serializers.DateTimeField(allow_null=True)
    missing = serializers.IntegerField()


class ApprovalsOutput(serializers.Serializer[Any]):
    change = serializers.UUIDField()
    state = serializers.CharField()
    preview = serializers.CharField()
    gates = GateOutput(many=True)
    approvals = ApprovalOutput(many=True)


class ApprovalListView(ApiView):
    required_permissions = {"GET": PERMISSION, "POST": _APPROVE}

    @extend_schema(responses=ApprovalsOutput)
    def get(self, request: Request, slug: str, env_type: str, change_id: UUID) -> Response:
        """Show who approved a Change, and what it still waits for."""
        organization = get_environments_owner(request, slug, env_type)
        return Response(_shown(get_change(organization, env_type, change_id)))

    @extend_schema(request=ApprovalInput, responses={201: ApprovalsOutput})
    def post(self, request: Request, slug: str, env_type: str, change_id: UUID) -> Response:
        """Approve a Change as its preview shows it."""
        organization = get_organization(request, slug, _APPROVE, env_type=env_type)
        change = get_change(organization, env_type, change_id)
        data = ApprovalInput(data=request.data)
        data.is_valid(raise_exception=True)
        asked = dict(data.validated_data)
        approve_change(
            change_id=change.pk,
            preview_id=asked.pop("preview"),
            actor=cast(User, request.user),
            now=timezone.now(),
            **asked,
        )
        return Response(_shown(get_change(organization, env_type, change_id)), status=status.HTTP_201_CREATED)


def _shown(change: Change) -> Any:
    is_waiting = change.state == Change.State.AWAITING_GATES
    gates = [each.as_json() for each in judge_change(change, now=timezone.now())] if is_waiting else change.gates
    shown = {
        "change": change.pk,
        "state": change.state,
        "preview": change.preview_id or "",
        "gates": gates,
        "approvals": change.approvals.select_related("approver").order_by("created_at", "pk"),
    }
    return ApprovalsOutput(shown).data
