"""The policy of an Environment: its members read it, whoever sets it writes it."""

from typing import Any, cast

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalyst.core.errors import NotFound
from catalyst.core.http.views import ApiView
from marketplace.models import EnvironmentPolicy
from marketplace.services.policies import get_policy
from marketplace.services.policy_edits import can_edit_policy, check_policy_editor, preview_policy, save_policy
from tenancy.api.authentication import token_of
from tenancy.api.scoping import get_organization
from tenancy.models import Environment, User
from tenancy.selectors.permissions import can, token_allows

_VIEW, _EDIT, _MANAGE = "environment.view", "environment_policy.edit", "environment_policy.manage"


class PolicyInput(serializers.Serializer[Any]):
    rules = serializers.JSONField(help_text="A list of rules: pr-required, soak, change-window, each at most once.")
    version = serializers.IntegerField(
        required=False, allow_null=True, default=None, help_text="The version that was read; 0 for none."
    )
    is_delegated = serializers.BooleanField(
        required=False, allow_null=True, default=None, help_text="The Organization's administrators may edit it."
    )
    is_preview = serializers.BooleanField(required=False, default=False, help_text="Show what waits; save nothing.")


class AffectedChangeOutput(serializers.Serializer[Any]):
    change = serializers.UUIDField(source="change.pk")
    summary = serializers.CharField(source="change.summary")
    before = serializers.SerializerMethodField()
    after = serializers.SerializerMethodField()

    def get_before(self, affected: Any) -> list[dict[str, Any]]:
        return [each.as_json() for each in affected.before]

    def get_after(self, affected: Any) -> list[dict[str, Any]]:
        return [each.as_json() for each in affected.after]


class PolicyOutput(serializers.Serializer[Any]):
    """``version`` is 0 where there is no policy; ``affected`` are the waiting Changes that the new rules judge anew."""

    environment = serializers.CharField()
    rules = serializers.JSONField()
    version = serializers.IntegerField()
    is_delegated = serializers.BooleanField()
    may_edit = serializers.BooleanField()
    updated_at = serializers.DateTimeField(allow_null=True)
    affected = AffectedChangeOutput(many=True)


class PolicyView(ApiView):
    required_permissions = {"GET": _VIEW, "PUT": _EDIT}

    @extend_schema(responses=PolicyOutput)
    def get(self, request: Request, slug: str, env_type: str) -> Response:
        """Show the rules under which an Environment may change."""
        environment = _environment(request, slug, env_type, _VIEW)
        return _answer(request, environment, get_policy(environment))

    @extend_schema(request=PolicyInput, responses=PolicyOutput)
    def put(self, request: Request, slug: str, env_type: str) -> Response:
        """Give an Environment these rules, or show what they would mean for what waits."""
        environment = _environment(request, slug, env_type, _EDIT)
        check_policy_editor(environment, cast(User, request.user))
        data = PolicyInput(data=request.data)
        data.is_valid(raise_exception=True)
        asked, now = dict(data.validated_data), timezone.now()
        is_preview = asked.pop("is_preview")
        affected = preview_policy(environment, asked["rules"], now=now)
        policy = get_policy(environment)
        if not is_preview:
            policy = save_policy(environment=environment, actor=cast(User, request.user), now=now, **asked)
        return _answer(request, environment, policy, affected)


def _environment(request: Request, slug: str, env_type: str, permission: str) -> Environment:
    """Return the Environment for a member, or for the Sovereign's administrators, who set policies anywhere.

    :raises NotFound: it is somebody else's, or there is none. :raises PermissionRefused: a role without the right.
    """
    found = Environment.objects.select_related("organization").filter(env_type=env_type)
    if _is_sovereign_administrator(request):
        environment = found.filter(organization__slug=slug).order_by("-pk").first()
    else:
        organization = get_organization(request, slug, permission, env_type=env_type)
        environment = found.filter(organization=organization).first()
    if environment is None:
        raise NotFound(_("Not found."))
    return environment


def _is_sovereign_administrator(request: Request) -> bool:
    token = token_of(request)
    if token is not None and (token.organization_id or token.env_type or not token_allows(token, _MANAGE)):
        return False
    return can(request.user, _MANAGE)


def _answer(
    request: Request, environment: Environment, policy: EnvironmentPolicy | None, affected: list[Any] | None = None
) -> Response:
    shown = {
        "environment": environment.name,
        "rules": policy.rules if policy else [],
        "version": policy.version if policy else 0,
        "is_delegated": bool(policy and policy.is_delegated),
        "may_edit": can_edit_policy(environment, cast(User, request.user), policy),
        "updated_at": policy.updated_at if policy else None,
        "affected": affected or [],
    }
    return Response(PolicyOutput(shown).data)
