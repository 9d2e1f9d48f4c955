"""Secrets by API: what there is, set one, rotate one, and type one for an order. No answer holds a value."""

import uuid
from typing import Any, cast

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from catalyst.core.errors import NotFound
from catalyst.core.http.views import ApiView
from marketplace.api.applications import PERMISSION, get_environments_owner
from marketplace.models import Application
from marketplace.selectors.secrets import SecretState, list_secrets
from marketplace.services.application_secrets import LONGEST, rotate_secret, write_secret
from marketplace.services.typed_secrets import keep_typed_secrets
from tenancy.api.scoping import get_organization
from tenancy.models import Organization, User

_WRITE, _ROTATE, _BUY = "secret.write", "secret.rotate", "checkout.create"


class ApplicationSecretOutput(serializers.Serializer[Any]):
    """``issuer``: the service whose credential it is; empty: the Application's own."""

    name = serializers.CharField()
    issuer = serializers.CharField()
    is_generated = serializers.BooleanField()
    set_at = serializers.DateTimeField(allow_null=True)
    delivered_at = serializers.DateTimeField(allow_null=True)
    rotate_by = serializers.DateTimeField(source="due_at", allow_null=True)


class SecretValueInput(serializers.Serializer[Any]):
    # Every character counts, also spaces.
    value = serializers.CharField(trim_whitespace=False, max_length=LONGEST, write_only=True)


class RotateInput(serializers.Serializer[Any]):
    issuer = serializers.CharField(required=False, default="", allow_blank=True, max_length=53)


class TypedSecretInput(SecretValueInput):
    blueprint = serializers.CharField(max_length=48)
    setting = serializers.CharField(max_length=63, help_text="Path of the setting, like mail.password.")


class ReferenceOutput(serializers.Serializer[Any]):
    """What stands in the ``config`` of the order in the place of the secret."""

    secret = serializers.CharField()
    key = serializers.CharField()


class SecretListView(ApiView):
    required_permissions = {"GET": PERMISSION}

    @extend_schema(responses=ApplicationSecretOutput(many=True))
    def get(self, request: Request, slug: str, env_type: str, application: str) -> Response:
        """List the secrets of an Application: names, age, and whether the secret store has them."""
        found = _application(get_environments_owner(request, slug, env_type), env_type, application)
        return Response(ApplicationSecretOutput(list_secrets(found), many=True).data)


class SecretView(ApiView):
    required_permissions = {"PUT": _WRITE}

    @extend_schema(request=SecretValueInput, responses=ApplicationSecretOutput)
    def put(self, request: Request, slug: str, env_type: str, application: str, name: str) -> Response:
        """Set a secret that a setting asks for, or replace one that the platform made."""
        organization = get_organization(request, slug, _WRITE, env_type=env_type)
        found = _application(organization, env_type, application)
        data = SecretValueInput(data=request.data)
        data.is_valid(raise_exception=True)
        value, person = data.validated_data["value"], cast(User, request.user)
        write_secret(application=found, name=name, value=value, actor=person, now=timezone.now())
        return Response(ApplicationSecretOutput(_state(found, name, "")).data)


class SecretRotateView(ApiView):
    required_permissions = {"POST": _ROTATE}

    @extend_schema(request=RotateInput, responses=ApplicationSecretOutput)
    def post(self, request: Request, slug: str, env_type: str, application: str, name: str) -> Response:
        """Give a secret that the platform made another random value."""
        organization = get_organization(request, slug, _ROTATE, env_type=env_type)
        found = _application(organization, env_type, application)
        data = RotateInput(data=request.data)
        data.is_valid(raise_exception=True)
        issuer, person = data.validated_data["issuer"], cast(User, request.user)
        rotate_secret(application=found, name=name, issuer=issuer, actor=person, now=timezone.now())
        return Response(ApplicationSecretOutput(_state(found, name, issuer)).data)


class TypedSecretListView(ApiView):
    required_permissions = {"POST": _BUY}

    @extend_schema(request=TypedSecretInput, responses={201: ReferenceOutput})
    def post(self, request: Request, slug: str) -> Response:
        """Keep a secret for an order that is not placed yet; the answer goes into the order's ``config``."""
        get_organization(request, slug, _BUY)
        data = TypedSecretInput(data=request.data)
        data.is_valid(raise_exception=True)
        said = data.validated_data
        kept = keep_typed_secrets(
            scope=f"api:{uuid.uuid4()}",
            blueprint=said["blueprint"],
            values={said["setting"]: said["value"]},
            now=timezone.now(),
        )
        answer = ReferenceOutput({"secret": said["setting"], "key": kept[said["setting"]]})
        return Response(answer.data, status=status.HTTP_201_CREATED)


def _application(organization: Organization, env_type: str, name: str) -> Application:
    rows = Application.objects.filter(organization=organization, environment__env_type=env_type, removed_by=None)
    rows = rows.exclude(change__commit="").select_related("organization", "blueprint_version__blueprint")
    found = rows.filter(slug=name).first()
    if found is None:
        raise NotFound(_("Not found."))
    return found


def _state(application: Application, name: str, issuer: str) -> SecretState:
    return next(each for each in list_secrets(application) if (each.name, each.issuer) == (name, issuer))
