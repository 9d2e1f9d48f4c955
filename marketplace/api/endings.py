"""What ends over HTTP: protection against it, the data of what is removed, Environments, Organizations; and suspension.

Whatever cannot be undone is confirmed with its typed name, and is a Job from then on.
"""

from typing import Any, cast

from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from catalyst.core.errors import NotFound
from catalyst.core.http.serializers import StrictSerializer
from catalyst.core.http.views import ApiView
from marketplace.api.jobs import JobOutput
from marketplace.models import Job
from marketplace.services.application_data import find_kept, kept_data, start_purge
from marketplace.services.environment_jobs import start_deletion
from marketplace.services.organization_jobs import start_offboarding
from marketplace.services.protection import set_protection
from tenancy.api.scoping import get_organization
from tenancy.api.serializers import EnvironmentOutput, OrganizationOutput
from tenancy.api.views import OrganizationView
from tenancy.models import Environment, Organization, User
from tenancy.services.organization_life import resume_organization, suspend_organization

_SET, _LIFT, _PURGE = "delete_protection.set", "delete_protection.lift", "application.purge"


class TypedNameInput(StrictSerializer):
    name = serializers.CharField(max_length=80, help_text="The name of what goes, typed by a person.")


class ProtectionInput(StrictSerializer):
    is_protected = serializers.BooleanField()


class ProtectionOutput(serializers.Serializer[Any]):
    is_protected = serializers.BooleanField()


class SuspensionInput(StrictSerializer):
    # The length belongs to the service: its refusal is 422 with a code of its own.
    reason = serializers.CharField(allow_blank=True, max_length=2000)


class ClaimOutput(serializers.Serializer[Any]):
    name = serializers.CharField()
    size = serializers.CharField()


class KeptDataOutput(serializers.Serializer[Any]):
    """What a purge deletes. ``databases`` names services that keep a database of this Application: those stay."""

    namespace = serializers.CharField()
    volumes = ClaimOutput(many=True, source="claims")
    databases = serializers.ListField(child=serializers.CharField())
    kept_until = serializers.DateTimeField(source="application.purge_at", allow_null=True)


class ProtectionView(ApiView):
    required_permissions = {"PUT": _SET}

    @extend_schema(request=ProtectionInput, responses=ProtectionOutput)
    def put(self, request: Request, slug: str, env_type: str, application: str) -> Response:
        """Protect an Application against removal, or lift that, which is an administrator's right."""
        environment = find_environment(request, slug, env_type, _SET)
        wanted = ProtectionInput.read(request.data)["is_protected"]
        if not wanted:
            get_organization(request, slug, _LIFT, env_type=env_type)
        row = set_protection(
            environment=environment, name=application, is_protected=wanted, actor=_actor(request), now=timezone.now()
        )
        return Response(ProtectionOutput(row).data)


class PurgeView(ApiView):
    required_permissions = {"GET": _PURGE, "POST": _PURGE}

    @extend_schema(responses=KeptDataOutput)
    def get(self, request: Request, slug: str, env_type: str, application: str) -> Response:
        """Show what is left of a removed Application, and until when."""
        environment = find_environment(request, slug, env_type, _PURGE)
        return Response(KeptDataOutput(kept_data(find_kept(environment, application))).data)

    @extend_schema(request=TypedNameInput, responses={202: JobOutput})
    def post(self, request: Request, slug: str, env_type: str, application: str) -> Response:
        """Delete the data of a removed Application for good."""
        environment = find_environment(request, slug, env_type, _PURGE)
        typed = TypedNameInput.read(request.data)["name"]
        job = start_purge(
            environment=environment, name=application, typed=typed, actor=_actor(request), now=timezone.now()
        )
        return _accepted(job)


class EnvironmentView(ApiView):
    required_permissions = {"GET": "environment.view", "DELETE": "environment.delete"}

    @extend_schema(responses=EnvironmentOutput)
    def get(self, request: Request, slug: str, env_type: str) -> Response:
        """Show one Environment."""
        return Response(EnvironmentOutput(find_environment(request, slug, env_type, "environment.view")).data)

    @extend_schema(request=TypedNameInput, responses={202: JobOutput})
    def delete(self, request: Request, slug: str, env_type: str) -> Response:
        """Delete an Environment with everything in it."""
        environment = find_environment(request, slug, env_type, "environment.delete")
        typed = TypedNameInput.read(request.data)["name"]
        job = start_deletion(environment=environment, typed=typed, actor=_actor(request), now=timezone.now())
        return _accepted(job)


class OrganizationEndView(OrganizationView):
    required_permissions = {**OrganizationView.required_permissions, "DELETE": "organization.delete"}

    @extend_schema(request=TypedNameInput, responses={202: JobOutput})
    def delete(self, request: Request, slug: str) -> Response:
        """Delete the Organization with everything in it; its books are kept."""
        organization = get_organization(request, slug, "organization.delete")
        typed = TypedNameInput.read(request.data)["name"]
        job = start_offboarding(organization=organization, typed=typed, actor=_actor(request), now=timezone.now())
        return _accepted(job)


class SuspensionView(ApiView):
    """For the Sovereign's staff."""

    required_permissions = {"PUT": "organization.suspend", "DELETE": "organization.suspend"}

    @extend_schema(request=SuspensionInput, responses=OrganizationOutput)
    def put(self, request: Request, slug: str) -> Response:
        """Suspend an Organization: members read only, and what it runs pauses."""
        organization = get_object_or_404(Organization.objects.live(), slug=slug)
        reason = SuspensionInput.read(request.data)["reason"]
        suspended = suspend_organization(
            organization_id=organization.pk, reason=reason, actor=_actor(request), now=timezone.now()
        )
        return Response(OrganizationOutput(suspended).data)

    @extend_schema(responses=OrganizationOutput)
    def delete(self, request: Request, slug: str) -> Response:
        """Resume an Organization."""
        organization = get_object_or_404(Organization.objects.live(), slug=slug)
        resumed = resume_organization(organization_id=organization.pk, actor=_actor(request), now=timezone.now())
        return Response(OrganizationOutput(resumed).data)


def find_environment(request: Request, slug: str, env_type: str, permission: str) -> Environment:
    """Return the Environment when the caller holds the permission there.

    :raises NotFound: it is somebody else's, or there is no such Environment.
    """
    organization = get_organization(request, slug, permission, env_type=env_type)
    rows = Environment.objects.select_related("organization")
    environment = rows.filter(organization=organization, env_type=env_type).first()
    if environment is None:
        raise NotFound(_("Not found."))
    return environment


def _accepted(job: Job) -> Response:
    return Response(JobOutput(job).data, status=status.HTTP_202_ACCEPTED)


def _actor(request: Request) -> User:
    return cast(User, request.user)
