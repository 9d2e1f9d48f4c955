"""The versions of a Blueprint for the members of an Organization: what became of each, and where it runs here.

Its own Organization retires, restores and withdraws them; those of others are read only.
"""

from collections.abc import Mapping
from typing import Any, cast

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalyst.core.http.views import ApiView
from marketplace.api.serializers import VersionOutput
from marketplace.models import BlueprintVersion
from marketplace.selectors.releases import Release, nearest_blueprint, own_version, releases_of
from marketplace.selectors.usage import Use, applications_using
from marketplace.services.blueprint_versions import LONGEST_REASON, restore_version, retire_version, yank_version
from tenancy.api.scoping import get_env_types, get_organization
from tenancy.models import Organization, User

_VIEW, _PUBLISH = "application.view", "blueprint.publish"


class UseOutput(serializers.Serializer[Any]):
    application = serializers.CharField()
    environment = serializers.CharField()
    env_type = serializers.CharField()
    needed_by = serializers.ListField(child=serializers.CharField())


class ReleaseOutput(VersionOutput):
    danger = serializers.BooleanField(source="is_danger", help_text="It was withdrawn for a security reason.")
    used_by = serializers.SerializerMethodField()

    def get_used_by(self, release: Release) -> list[dict[str, Any]]:
        """Return the Organization's own Applications that run it."""
        uses: Mapping[str, list[Use]] = self.context["uses"]
        return [dict(each) for each in UseOutput(uses.get(release.version, []), many=True).data]


class ReleaseListOutput(serializers.Serializer[Any]):
    blueprint = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]
    versions = ReleaseOutput(many=True)


class ReasonInput(serializers.Serializer[Any]):
    reason = serializers.CharField(required=False, default="", allow_blank=True, max_length=LONGEST_REASON)


class YankInput(ReasonInput):
    security = serializers.BooleanField(
        required=False, default=False, help_text="Whoever runs it is in danger: say so to them."
    )


class VersionListView(ApiView):
    required_permissions = {"GET": _VIEW}

    @extend_schema(responses=ReleaseListOutput)
    def get(self, request: Request, slug: str, name: str) -> Response:
        """List the versions of one Blueprint, newest first, each with the Applications here that run it."""
        organization = get_organization(request, slug, _VIEW)
        blueprint = nearest_blueprint(name, organization)
        context = {"uses": _uses(request, organization, name, blueprint.source)}
        answer = {
            "blueprint": blueprint.name,
            "source": blueprint.source,
            "versions": ReleaseOutput(releases_of(blueprint.pk), many=True, context=context).data,
        }
        return Response(answer)


class VersionStepView(ApiView):
    """Base of the steps of an own version; each answers with the version as it is then."""

    required_permissions = {"POST": _PUBLISH}

    def version(self, request: Request, slug: str, name: str, version: str) -> BlueprintVersion:
        """Return the Organization's own version when the caller may decide on it."""
        return own_version(name, version, get_organization(request, slug, _PUBLISH))

    def answer(self, request: Request, version: BlueprintVersion) -> Response:
        """Say what became of the version."""
        release = next(each for each in releases_of(version.blueprint_id) if each.id == version.pk)
        blueprint = version.blueprint
        assert blueprint.organization is not None
        uses = _uses(request, blueprint.organization, blueprint.name, blueprint.source)
        return Response(ReleaseOutput(release, context={"uses": uses}).data)


class RetireView(VersionStepView):
    @extend_schema(request=ReasonInput, responses=ReleaseOutput)
    def post(self, request: Request, slug: str, name: str, version: str) -> Response:
        """Stop offering a version; where it runs it keeps running."""
        found = self.version(request, slug, name, version)
        asked = _read(ReasonInput, request)
        taken = retire_version(version_id=found.pk, actor=_actor(request), reason=asked["reason"])
        return self.answer(request, taken)


class RestoreView(VersionStepView):
    @extend_schema(request=None, responses=ReleaseOutput)
    def post(self, request: Request, slug: str, name: str, version: str) -> Response:
        """Offer a retired version again."""
        found = self.version(request, slug, name, version)
        return self.answer(request, restore_version(version_id=found.pk, actor=_actor(request)))


class YankView(VersionStepView):
    @extend_schema(request=YankInput, responses=ReleaseOutput)
    def post(self, request: Request, slug: str, name: str, version: str) -> Response:
        """Withdraw a version for ever; where it runs people are told to move on."""
        found = self.version(request, slug, name, version)
        asked = _read(YankInput, request)
        taken = yank_version(
            version_id=found.pk,
            actor=_actor(request),
            reason=asked["reason"],
            is_security=asked["security"],
            now=timezone.now(),
        )
        return self.answer(request, taken)


def _read(form: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    body = form(data=request.data)
    body.is_valid(raise_exception=True)
    return dict(body.validated_data)


def _actor(request: Request) -> User:
    return cast(User, request.user)


def _uses(request: Request, organization: Organization, name: str, source: str) -> dict[str, list[Use]]:
    """Return where each version of this source runs, as far as the caller may see."""
    found: dict[str, list[Use]] = {}
    for each in applications_using(organization, name, env_types=get_env_types(request, organization)):
        if each.source == source:
            found.setdefault(each.version, []).append(each)
    return found
