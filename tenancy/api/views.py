"""Organizations, their Environments and members over HTTP."""

from typing import cast

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from catalyst.core.http.pagination import NewestFirst, page_of
from catalyst.core.http.views import ApiView
from tenancy.api.authentication import token_of
from tenancy.api.permissions import SIGNED_IN
from tenancy.api.scoping import get_env_types, get_organization
from tenancy.api.serializers import (
    CreateEnvironmentInput,
    CreateOrganizationInput,
    EnvironmentOutput,
    MemberOutput,
    OrganizationOutput,
)
from tenancy.models import User
from tenancy.selectors.organizations import list_environments, list_members, organizations_of
from tenancy.services.environments import create_environment
from tenancy.services.organizations import create_organization


class OrganizationListView(ApiView):
    required_permissions = {"GET": SIGNED_IN, "POST": SIGNED_IN}

    @extend_schema(operation_id="v1_organizations_list", responses=page_of(OrganizationOutput))
    def get(self, request: Request) -> Response:
        """List the Organizations that the caller belongs to."""
        organizations = organizations_of(request.user)
        token = token_of(request)
        if token is not None and token.organization_id is not None:
            organizations = organizations.filter(pk=token.organization_id)
        paginator = NewestFirst()
        page = paginator.paginate_queryset(organizations, request, view=self)
        return paginator.get_paginated_response(OrganizationOutput(page, many=True).data)

    @extend_schema(request=CreateOrganizationInput, responses={201: OrganizationOutput})
    def post(self, request: Request) -> Response:
        """Create an Organization; the caller becomes its administrator."""
        data = CreateOrganizationInput(data=request.data)
        data.is_valid(raise_exception=True)
        organization = create_organization(**data.validated_data, creator=cast(User, request.user), now=timezone.now())
        return Response(OrganizationOutput(organization).data, status=status.HTTP_201_CREATED)


class OrganizationView(ApiView):
    required_permissions = {"GET": "organization.view"}

    @extend_schema(responses=OrganizationOutput)
    def get(self, request: Request, slug: str) -> Response:
        """Show one Organization."""
        organization = get_organization(request, slug, "organization.view")
        return Response(OrganizationOutput(organization).data)


class EnvironmentListView(ApiView):
    required_permissions = {"GET": "environment.view", "POST": "environment.create"}

    @extend_schema(operation_id="v1_organizations_environments_list", responses=page_of(EnvironmentOutput))
    def get(self, request: Request, slug: str) -> Response:
        """List the Environments within the caller's scope."""
        organization = get_organization(request, slug, "environment.view")
        environments = list_environments(organization, env_types=get_env_types(request, organization))
        paginator = NewestFirst()
        page = paginator.paginate_queryset(environments, request, view=self)
        return paginator.get_paginated_response(EnvironmentOutput(page, many=True).data)

    @extend_schema(request=CreateEnvironmentInput, responses={201: EnvironmentOutput})
    def post(self, request: Request, slug: str) -> Response:
        """Create the Environment of one type."""
        organization = get_organization(request, slug, "environment.create")
        data = CreateEnvironmentInput(data=request.data)
        data.is_valid(raise_exception=True)
        # Again with the type: a member or token limited to other Environments may not make this one.
        get_organization(request, slug, "environment.create", env_type=data.validated_data["env_type"])
        environment = create_environment(
            organization=organization,
            env_type=data.validated_data["env_type"],
            actor=cast(User, request.user),
            now=timezone.now(),
        )
        return Response(EnvironmentOutput(environment).data, status=status.HTTP_201_CREATED)


class MemberListView(ApiView):
    required_permissions = {"GET": "member.view"}

    @extend_schema(responses=page_of(MemberOutput))
    def get(self, request: Request, slug: str) -> Response:
        """List who belongs to the Organization, one row per role."""
        organization = get_organization(request, slug, "member.view")
        paginator = NewestFirst()
        page = paginator.paginate_queryset(list_members(organization), request, view=self)
        return paginator.get_paginated_response(MemberOutput(page, many=True).data)
