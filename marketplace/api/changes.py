"""Changes of an Environment: one row per commit, with who, why, which order, and what it touched."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalyst.core.http.pagination import NewestFirst, page_of
from catalyst.core.http.views import ApiView
from marketplace.api.applications import PERMISSION, get_environments_owner
from marketplace.models import Change
from marketplace.selectors.changes import approvers_of, changed_files, changes_of, get_change


class ChangedFileOutput(serializers.Serializer[Any]):
    path = serializers.CharField()
    change = serializers.ChoiceField(choices=["added", "modified", "removed"])


class ChangeOutput(serializers.Serializer[Any]):
    """``author`` is a display name, never an address, and Catalyst where the platform did it by itself.

    ``approvals`` are the names of those who said yes, ``gates`` the last word of each rule. ``preview`` is what was
    looked at, ``reverts`` the Change that this one takes back, ``promoted_from`` is ``<environment>@<commit>``.
    """

    id = serializers.UUIDField()
    kind = serializers.CharField()
    state = serializers.CharField()
    status_reason = serializers.CharField()
    summary = serializers.CharField()
    author = serializers.SerializerMethodField()
    order = serializers.CharField(source="order_number")
    reason = serializers.CharField()
    approvals = serializers.SerializerMethodField()
    gates = serializers.ListField(child=serializers.DictField())
    is_emergency = serializers.BooleanField()
    preview = serializers.CharField(source="preview_id", allow_null=True)
    reverts = serializers.UUIDField(source="reverts_id", allow_null=True)
    promoted_from = serializers.CharField()
    seq = serializers.IntegerField(allow_null=True)
    base_commit = serializers.CharField()
    commit = serializers.CharField()
    committed_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    diff = serializers.SerializerMethodField()

    def get_author(self, change: Change) -> str:
        return change.author.display_name if change.author else "Catalyst"

    def get_approvals(self, change: Change) -> list[str]:
        return approvers_of(change)

    def get_diff(self, change: Change) -> list[dict[str, Any]]:
        files = self.context["files"].get(change.pk, [])
        return [dict(each) for each in ChangedFileOutput(files, many=True).data]


class NewestChangeFirst(NewestFirst):
    ordering = "-created_at"


class ChangeListView(ApiView):
    required_permissions = {"GET": PERMISSION}

    @extend_schema(operation_id="v1_changes_list", responses=page_of(ChangeOutput))
    def get(self, request: Request, slug: str, env_type: str) -> Response:
        """List the Changes of one Environment, newest first."""
        organization = get_environments_owner(request, slug, env_type)
        paginator = NewestChangeFirst()
        page = paginator.paginate_queryset(changes_of(organization, env_type), request, view=self) or []
        context = {"files": changed_files(page)}
        return paginator.get_paginated_response(ChangeOutput(page, many=True, context=context).data)


class ChangeView(ApiView):
    required_permissions = {"GET": PERMISSION}

    @extend_schema(responses=ChangeOutput)
    def get(self, request: Request, slug: str, env_type: str, change_id: UUID) -> Response:
        """Show one Change."""
        organization = get_environments_owner(request, slug, env_type)
        change = get_change(organization, env_type, change_id)
        return Response(ChangeOutput(change, context={"files": changed_files([change])}).data)
