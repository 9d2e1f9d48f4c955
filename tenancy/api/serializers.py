"""Shapes of Organizations, Environments and members."""

from typing import Any

from rest_framework import serializers

from catalyst.core import names
from catalyst.core.http.serializers import StrictSerializer
from tenancy.models import Environment, Organization


class CreateOrganizationInput(StrictSerializer):
    # The rule of the slug belongs to the service: its refusals are 422 with a code of their own.
    slug = serializers.CharField(max_length=200, trim_whitespace=False)
    name = serializers.CharField(max_length=120)
    name_ar = serializers.CharField(max_length=120, required=False, allow_blank=True, default="")


class OrganizationOutput(serializers.ModelSerializer[Organization]):
    class Meta:
        model = Organization
        fields = ("slug", "name", "name_ar", "state", "state_reason", "created_at")
        read_only_fields = fields


class CreateEnvironmentInput(StrictSerializer):
    env_type = serializers.ChoiceField(choices=names.ENVIRONMENT_TYPES)


class EnvironmentOutput(serializers.ModelSerializer[Environment]):
    class Meta:
        model = Environment
        fields = ("name", "env_type", "status", "created_at")
        read_only_fields = fields


class MemberOutput(serializers.Serializer[Any]):
    """One membership. ``env_types`` null means every Environment, ``expires_at`` null no end."""

    id = serializers.UUIDField(source="uuid", read_only=True)
    email = serializers.EmailField(source="user.email", read_only=True)
    name = serializers.CharField(source="user.display_name", read_only=True)
    role = serializers.CharField(read_only=True)
    env_types: Any = serializers.ListField(child=serializers.CharField(), allow_null=True, read_only=True)
    expires_at = serializers.DateTimeField(allow_null=True, read_only=True)
