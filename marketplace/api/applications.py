"""What runs in an Environment, from the projection."""

from http import HTTPStatus
from typing import Any, cast

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalyst.core.errors import NotFound
from catalyst.core.http.pagination import NewestFirst, page_of
from catalyst.core.http.views import ApiView
from marketplace.selectors.applications import get_application, list_applications
from marketplace.services.cluster_looks import ask_again
from tenancy.api.scoping import get_organization
from tenancy.models import Environment, Organization, User

PERMISSION = "application.view"


class ApplicationOutput(serializers.Serializer[Any]):
    name = serializers.CharField(source="application")
    blueprint = serializers.CharField()
    version = serializers.CharField()
    status = serializers.CharField()
    status_reason = serializers.CharField()
    observed_at = serializers.DateTimeField(allow_null=True)
    url = serializers.CharField()
    depends_on = serializers.ListField(child=serializers.CharField())
    commit = serializers.CharField()


class ByName(NewestFirst):
    ordering = "application"


class ApplicationListView(ApiView):
    required_permissions = {"GET": PERMISSION}

    @extend_schema(operation_id="v1_applications_list", responses=page_of(ApplicationOutput))
    def get(self, request: Request, slug: str, env_type: str) -> Response:
        """List the Applications of one Environment by name, backing services included."""
        organization = get_environments_owner(request, slug, env_type)
        paginator = ByName()
        page = paginator.paginate_queryset(list_applications(organization, env_type), request, view=self)
        return paginator.get_paginated_response(ApplicationOutput(page, many=True).data)


class ApplicationView(ApiView):
    required_permissions = {"GET": PERMISSION}

    @extend_schema(responses=ApplicationOutput)
    def get(self, request: Request, slug: str, env_type: str, application: str) -> Response:
        """Show one Application."""
        organization = get_environments_owner(request, slug, env_type)
        found = get_application(organization, env_type, application)
        if found is None:
            raise NotFound(_("Not found."))
        return Response(ApplicationOutput(found).data)


class ApplicationRetryView(ApiView):
    required_permissions = {"POST": "change.apply"}

    @extend_schema(request=None, responses={202: ApplicationOutput})
    def post(self, request: Request, slug: str, env_type: str, application: str) -> Response:
        """Ask the cluster to try an Application again now; its status says what comes of it."""
        organization = get_organization(request, slug, "change.apply", env_type=env_type)
        environments = Environment.objects.select_related("organization")
        environment = environments.filter(organization=organization, env_type=env_type).first()
        if environment is None:
            raise NotFound(_("Not found."))
        row = ask_again(
            environment=environment, application=application, actor=cast(User, request.user), now=timezone.now()
        )
        return Response(ApplicationOutput(row).data, status=HTTPStatus.ACCEPTED)


def get_environments_owner(request: Request, slug: str, env_type: str) -> Organization:
    """Return the Organization when the caller may see what runs in its Environment of this type.

    :raises NotFound: it is somebody else's, or there is no such Environment.
    """
    organization = get_organization(request, slug, PERMISSION, env_type=env_type)
    if not Environment.objects.filter(organization=organization, env_type=env_type).exists():
        raise NotFound(_("Not found."))
    return organization
