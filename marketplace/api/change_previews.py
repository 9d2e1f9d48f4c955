"""Change previews: look at what would happen, then do exactly that. Source: api.md of the design, "Applications"."""

from typing import Any, cast

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from catalyst.core.http.views import ApiView
from marketplace.api.changes import ChangeOutput
from marketplace.api.upgrades import find_environment
from marketplace.models import ChangePreview
from marketplace.selectors.changes import changed_files, get_change
from marketplace.services.change_previews import apply_preview, cancel_change, get_preview, preview_change
from marketplace.services.planner_request import ChangeRequest, Configure, Install
from tenancy.models import User

_PREVIEW, _APPLY, _VIEW = "change.preview", "change.apply", "application.view"
_MOST = 100
_LONGEST_REASON = 500
_NAME, _RANGE, _SHA = 60, 120, 40


class InstallInput(serializers.Serializer[Any]):
    blueprint = serializers.CharField(max_length=_NAME)
    version = serializers.CharField(
        max_length=_RANGE, default="", allow_blank=True, help_text="A range; empty: newest."
    )
    name = serializers.RegexField(r"^[a-z](?:-?[a-z0-9])+\Z", max_length=40, default="", allow_blank=True)
    config = serializers.DictField(default=dict)
    size = serializers.ChoiceField(choices=["small", "medium", "large"], default="small")
    bindings = serializers.DictField(child=serializers.CharField(max_length=_NAME), default=dict)


class ConfigureInput(serializers.Serializer[Any]):
    application = serializers.CharField(max_length=_NAME)
    config = serializers.DictField(
        required=False, allow_null=True, default=None, help_text="All of it; null leaves it."
    )
    size = serializers.ChoiceField(choices=["small", "medium", "large"], default="", allow_blank=True)


class UpgradeItemInput(serializers.Serializer[Any]):
    application = serializers.CharField(max_length=_NAME)
    version = serializers.CharField(
        max_length=_RANGE, default="", allow_blank=True, help_text="A range; empty: its own."
    )

    def to_internal_value(self, data: Any) -> Any:
        """Take a name alone as well."""
        return super().to_internal_value({"application": data} if isinstance(data, str) else data)


def _names() -> serializers.ListField:
    return serializers.ListField(child=serializers.CharField(max_length=_NAME), max_length=_MOST, default=list)


class ChangePreviewInput(serializers.Serializer[Any]):
    install = serializers.ListField(child=InstallInput(), default=list, max_length=_MOST)
    configure = serializers.ListField(child=ConfigureInput(), default=list, max_length=_MOST)
    upgrade = serializers.ListField(child=UpgradeItemInput(), default=list, max_length=_MOST)
    remove = _names()
    pause = _names()
    resume = _names()
    revert = serializers.UUIDField(required=False, allow_null=True, default=None, help_text="A saved Change.")
    revert_to = serializers.CharField(max_length=_SHA, default="", allow_blank=True, help_text="The commit of one.")
    promote_from = serializers.CharField(max_length=4, default="", allow_blank=True)
    promote = _names()
    values = serializers.DictField(child=serializers.DictField(), default=dict)
    reason = serializers.CharField(max_length=_LONGEST_REASON, default="", allow_blank=True)

    def as_request(self) -> ChangeRequest:
        """Return what was asked; call after validation."""
        data = self.validated_data
        lists: dict[str, Any] = {name: tuple(data[name]) for name in ("remove", "pause", "resume", "promote")}
        return ChangeRequest(
            install=tuple(Install(**each) for each in data["install"]),
            configure=tuple(Configure(**each) for each in data["configure"]),
            upgrade={each["application"]: each["version"] for each in data["upgrade"]},
            revert=str(data["revert"] or ""),
            revert_to=data["revert_to"],
            promote_from=data["promote_from"],
            values=data["values"],
            **lists,
        )


class ChangePreviewOutput(serializers.Serializer[Any]):
    """What would happen. ``problems`` stand in the way; without any, ``apply`` does exactly this."""

    id = serializers.CharField()
    base_commit = serializers.CharField(allow_blank=True)
    kind = serializers.CharField()
    summary = serializers.CharField()
    lock_diff = serializers.ListField(child=serializers.DictField())
    manifest_diff = serializers.DictField()
    values_diff = serializers.ListField(child=serializers.DictField())
    settings_diff = serializers.ListField(child=serializers.DictField())
    cost_delta = serializers.DictField(allow_null=True)
    capacity = serializers.DictField()
    policy = serializers.ListField(child=serializers.DictField())
    blast_radius = serializers.ListField(child=serializers.DictField())
    data = serializers.ListField(child=serializers.DictField())  # type: ignore[assignment]
    warnings = serializers.ListField(child=serializers.CharField())
    problems = serializers.ListField(child=serializers.DictField())
    expires_at = serializers.DateTimeField()
    state = serializers.CharField()
    author = serializers.CharField()
    branch = serializers.CharField(allow_blank=True)


def shown(preview: ChangePreview) -> dict[str, Any]:
    """Return a preview as the API shows it."""
    more = {"state": preview.state, "author": preview.author.display_name, "branch": preview.branch}
    return {**preview.shown, **more, "expires_at": preview.expires_at.isoformat()}


class ChangePreviewListView(ApiView):
    required_permissions = {"GET": _VIEW, "POST": _PREVIEW}

    @extend_schema(operation_id="v1_change_previews_list", responses=ChangePreviewOutput(many=True))
    def get(self, request: Request, slug: str, env_type: str) -> Response:
        """List the previews that can be applied, newest first: also what was pushed."""
        environment = find_environment(request, slug, env_type, _VIEW)
        rows = environment.previews.filter(state="open", expires_at__gt=timezone.now()).select_related("author")
        return Response([shown(each) for each in rows.order_by("-created_at")[:_MOST]])

    @extend_schema(request=ChangePreviewInput, responses={201: ChangePreviewOutput})
    def post(self, request: Request, slug: str, env_type: str) -> Response:
        """Show what a Change would do. Nothing of it happens."""
        environment = find_environment(request, slug, env_type, _PREVIEW)
        data = ChangePreviewInput(data=request.data)
        data.is_valid(raise_exception=True)
        preview = preview_change(
            environment=environment,
            request=data.as_request(),
            actor=cast(User, request.user),
            reason=data.validated_data["reason"],
            now=timezone.now(),
        )
        return Response(shown(preview), status=status.HTTP_201_CREATED)


class ChangePreviewView(ApiView):
    required_permissions = {"GET": _VIEW}

    @extend_schema(responses=ChangePreviewOutput)
    def get(self, request: Request, slug: str, env_type: str, preview: str) -> Response:
        """Show one preview again, as it was."""
        environment = find_environment(request, slug, env_type, _VIEW)
        return Response(shown(get_preview(environment, preview)))


class AppliedOutput(ChangeOutput):
    """The Change. ``change`` is its id; ``commit`` is empty until it is saved, a moment later."""

    change = serializers.UUIDField(source="pk")


class ApplyPreviewView(ApiView):
    required_permissions = {"POST": _APPLY}

    @extend_schema(request=None, responses={201: AppliedOutput})
    def post(self, request: Request, slug: str, env_type: str, preview: str) -> Response:
        """Do what the preview shows: exactly that, or nothing."""
        environment = find_environment(request, slug, env_type, _APPLY)
        change = apply_preview(
            environment=environment, preview_id=preview, actor=cast(User, request.user), now=timezone.now()
        )
        return Response(AppliedOutput(change, context={"files": {}}).data, status=status.HTTP_201_CREATED)


class CancelChangeView(ApiView):
    required_permissions = {"POST": _APPLY}

    @extend_schema(request=None, responses=ChangeOutput)
    def post(self, request: Request, slug: str, env_type: str, change_id: Any) -> Response:
        """Take back a Change that still waits for approval or for its window."""
        environment = find_environment(request, slug, env_type, _APPLY)
        found = get_change(environment.organization, env_type, change_id)
        change = cancel_change(change_id=found.pk, actor=cast(User, request.user), now=timezone.now())
        return Response(ChangeOutput(change, context={"files": changed_files([change])}).data)
