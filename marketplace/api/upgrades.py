"""Upgrades and configuration of what runs: what there is, what it would do, do it; and why a version runs."""

from typing import Any, cast

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from catalyst.core import idempotency
from catalyst.core.errors import NotFound
from catalyst.core.http.views import ApiView
from marketplace.api.applications import PERMISSION, get_environments_owner
from marketplace.api.changes import ChangeOutput
from marketplace.api.serializers import CapacityOutput
from marketplace.models import Change
from marketplace.selectors.upgrades import available_upgrades
from marketplace.selectors.why import explain_version
from marketplace.services.edits_configuration import plan_configuration
from marketplace.services.edits_preview import preview
from marketplace.services.upgrades import Mode, plan_upgrade
from tenancy.api.scoping import get_organization
from tenancy.models import Environment, User

_APPLY, _PREVIEW = "change.apply", "change.preview"
_MOST_NAMES = 100
_LONGEST_REASON = 500
_KEY = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, description="Optional: the same key again finds the same Change."
)


class ApplicationsField(serializers.JSONField):
    """Names with version ranges, or names alone; an empty list means every Application."""

    def to_internal_value(self, data: Any) -> dict[str, str]:
        """Return ranges by name, empty for the range that stands."""
        ranges = data if isinstance(data, dict) else dict.fromkeys(data, "") if _is_names(data) else None
        if ranges is None or len(ranges) > _MOST_NAMES or not _is_names([*ranges, *ranges.values()]):
            raise serializers.ValidationError(_("Send names with version ranges, or a list of names."))
        return dict(ranges)


def _is_names(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(each, str) for each in values)


class UpgradeInput(serializers.Serializer[Any]):
    applications = ApplicationsField(default=dict, help_text="{name: range} or [name]; [] means all of them.")
    mode = serializers.ChoiceField(choices=[each.value for each in Mode], default=Mode.MINIMAL.value)
    reason = serializers.CharField(required=False, default="", allow_blank=True, max_length=_LONGEST_REASON)


class ConfigurationInput(serializers.Serializer[Any]):
    config = serializers.DictField(help_text="The whole configuration; secrets are references.")
    size = serializers.CharField(required=False, default="", allow_blank=True, max_length=8)
    reason = serializers.CharField(required=False, default="", allow_blank=True, max_length=_LONGEST_REASON)


class MoveOutput(serializers.Serializer[Any]):
    application = serializers.CharField()
    blueprint = serializers.CharField()
    before = serializers.CharField()
    after = serializers.CharField()


class PreviewedMoveOutput(MoveOutput):
    reason = serializers.CharField()


class ReleaseNoteOutput(serializers.Serializer[Any]):
    version = serializers.CharField()
    text = serializers.CharField()
    is_security = serializers.BooleanField()


class UpgradeOutput(serializers.Serializer[Any]):
    """One Application: ``newest`` is empty when nothing newer can be had."""

    application = serializers.CharField()
    blueprint = serializers.CharField()
    version = serializers.CharField()
    newest = serializers.CharField()
    kind = serializers.CharField(help_text="security, feature, fix, or empty.")
    others = MoveOutput(many=True)
    changelog = ReleaseNoteOutput(many=True)
    notices = serializers.ListField(child=serializers.CharField())
    blocked = serializers.CharField()


class UpgradePreviewOutput(serializers.Serializer[Any]):
    """What would move, and what the Environment would use; ``capacity`` is null where no Plan limits it."""

    summary = serializers.CharField()
    moves = PreviewedMoveOutput(many=True)
    used_before = CapacityOutput()
    used_after = CapacityOutput()
    capacity = CapacityOutput(allow_null=True)
    fits = serializers.BooleanField()


class RequesterOutput(serializers.Serializer[Any]):
    application = serializers.CharField()
    version = serializers.CharField()
    alias = serializers.CharField()
    range = serializers.CharField()


class NewerVersionOutput(serializers.Serializer[Any]):
    version = serializers.CharField()
    code = serializers.CharField()
    reason = serializers.CharField()


class WhyOutput(serializers.Serializer[Any]):
    application = serializers.CharField()
    blueprint = serializers.CharField()
    version = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]
    digest = serializers.CharField()
    range = serializers.CharField(help_text="What a person asked for; empty for what came along.")
    change = serializers.UUIDField(source="change.pk")
    changed_at = serializers.DateTimeField(source="change.committed_at", allow_null=True)
    requested_by = RequesterOutput(many=True, source="requesters")
    newer = NewerVersionOutput(many=True)


class UpgradeListView(ApiView):
    required_permissions = {"GET": PERMISSION, "POST": _APPLY}

    @extend_schema(operation_id="v1_upgrades_list", responses=UpgradeOutput(many=True))
    def get(self, request: Request, slug: str, env_type: str) -> Response:
        """Say of every Application whether a newer version can be had, what it brings, and what stands in the way."""
        organization = get_environments_owner(request, slug, env_type)
        environment = Environment.objects.select_related("organization").get(
            organization=organization, env_type=env_type
        )
        notices = available_upgrades(environment, now=timezone.now())
        return Response(UpgradeOutput(notices, many=True).data)

    @extend_schema(request=UpgradeInput, parameters=[_KEY], responses={201: ChangeOutput})
    def post(self, request: Request, slug: str, env_type: str) -> Response:
        """Upgrade, by one Change that is saved in a moment."""
        environment = find_environment(request, slug, env_type, _APPLY)
        data = _read(UpgradeInput, request)
        change = plan_upgrade(
            environment=environment,
            actor=cast(User, request.user),
            now=timezone.now(),
            key=_key(request),
            **data,
        )
        return _answer(change)


class UpgradePreviewView(ApiView):
    required_permissions = {"POST": _PREVIEW}

    @extend_schema(request=UpgradeInput, responses=UpgradePreviewOutput)
    def post(self, request: Request, slug: str, env_type: str) -> Response:
        """Show what an upgrade would do; nothing is written."""
        environment = find_environment(request, slug, env_type, _PREVIEW)
        data = _read(UpgradeInput, request)
        shown = preview(environment, data["applications"], data["mode"], now=timezone.now())
        return Response(UpgradePreviewOutput(shown).data)


class ConfigurationView(ApiView):
    required_permissions = {"PUT": _APPLY}

    @extend_schema(request=ConfigurationInput, parameters=[_KEY], responses={201: ChangeOutput})
    def put(self, request: Request, slug: str, env_type: str, application: str) -> Response:
        """Give an Application this whole configuration, by one Change that is saved in a moment."""
        environment = find_environment(request, slug, env_type, _APPLY)
        data = _read(ConfigurationInput, request)
        change = plan_configuration(
            environment=environment,
            application=application,
            actor=cast(User, request.user),
            now=timezone.now(),
            key=_key(request),
            **data,
        )
        return _answer(change)


class WhyView(ApiView):
    required_permissions = {"GET": PERMISSION}

    @extend_schema(responses=WhyOutput)
    def get(self, request: Request, slug: str, env_type: str, application: str) -> Response:
        """Say why an Application has its version: who needs it, which range, and what became of newer ones."""
        environment = find_environment(request, slug, env_type, PERMISSION)
        return Response(WhyOutput(explain_version(environment, application, now=timezone.now())).data)


def find_environment(request: Request, slug: str, env_type: str, permission: str) -> Environment:
    """Return the Environment when the caller holds the permission there.

    :raises NotFound: it is somebody else's, or there is none. :raises PermissionRefused: a role without the right.
    """
    organization = get_organization(request, slug, permission, env_type=env_type)
    found = Environment.objects.select_related("organization").filter(organization=organization, env_type=env_type)
    environment = found.first()
    if environment is None:
        raise NotFound(_("Not found."))
    return environment


def _read(shape: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    data = shape(data=request.data)
    data.is_valid(raise_exception=True)
    return dict(data.validated_data)


def _key(request: Request) -> str:
    key = request.headers.get("Idempotency-Key")
    return idempotency.check_key(key) if key else ""


def _answer(change: Change) -> Response:
    return Response(ChangeOutput(change, context={"files": {}}).data, status=status.HTTP_201_CREATED)
