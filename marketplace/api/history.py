"""What a commit changed, and an Environment as it was then: read from its repository.

Source: gitops.md §10 and §12 of the design.
"""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalyst.core.http.views import ApiView
from marketplace.api.applications import PERMISSION
from marketplace.api.changes import ChangedFileOutput
from marketplace.api.upgrades import find_environment
from marketplace.selectors.changes import get_change
from marketplace.services.change_reading import read_diff, read_past


class FileDiffOutput(ChangedFileOutput):
    """``diff`` are the lines of a unified diff, at most 200; ``more_lines`` counts the rest."""

    diff = serializers.ListField(child=serializers.CharField(allow_blank=True))
    more_lines = serializers.IntegerField()


class ChangeDiffOutput(serializers.Serializer[Any]):
    """What a commit made of every file. Empty for a Change that is not saved."""

    deleted_objects = serializers.ListField(child=serializers.CharField())
    volumes = serializers.ListField(child=serializers.CharField())
    files = FileDiffOutput(many=True)
    more_files = serializers.IntegerField()


class ChangeDiffView(ApiView):
    required_permissions = {"GET": PERMISSION}

    @extend_schema(responses=ChangeDiffOutput)
    def get(self, request: Request, slug: str, env_type: str, change_id: UUID) -> Response:
        """Show what a Change made of the files, read from the repository."""
        environment = find_environment(request, slug, env_type, PERMISSION)
        change = get_change(environment.organization, env_type, change_id)
        change.environment = environment
        return Response(ChangeDiffOutput(read_diff(change)).data)


class StatedOutput(serializers.Serializer[Any]):
    """One Application by the word of a commit. An empty ``size`` or ``state`` was left out there."""

    name = serializers.CharField(source="intent.application")
    blueprint = serializers.CharField(source="intent.blueprint")
    version = serializers.CharField()
    range = serializers.CharField(source="intent.constraint")
    digest = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]  # DRF calls an argument of every field so
    size = serializers.CharField(source="intent.size")
    state = serializers.CharField(source="intent.state")
    config = serializers.DictField(source="intent.config")
    bindings = serializers.DictField(child=serializers.CharField())
    requested_by = serializers.ListField(child=serializers.CharField())


class PastOutput(serializers.Serializer[Any]):
    """An Environment as one commit left it."""

    commit = serializers.CharField(source="change.commit")
    change = serializers.UUIDField(source="change.pk")
    committed_at = serializers.DateTimeField(source="change.committed_at")
    is_current = serializers.BooleanField()
    applications = StatedOutput(many=True)


class PastView(ApiView):
    required_permissions = {"GET": PERMISSION}

    @extend_schema(responses=PastOutput)
    def get(self, request: Request, slug: str, env_type: str, commit: str) -> Response:
        """Show an Environment as of a commit."""
        environment = find_environment(request, slug, env_type, PERMISSION)
        return Response(PastOutput(read_past(environment, commit)).data)
