"""Domains of an Organization over HTTP."""

import uuid
from typing import Any, cast

from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from catalyst.core.http.pagination import NewestFirst, page_of
from catalyst.core.http.serializers import StrictSerializer
from catalyst.core.http.views import ApiView
from tenancy.api.scoping import get_organization
from tenancy.models import Domain, User
from tenancy.selectors.domains import find_domain, list_domains
from tenancy.services.domain_checks import check_domain
from tenancy.services.domain_proof import record_name, record_value
from tenancy.services.domains import add_domain, remove_domain


class AddDomainInput(StrictSerializer):
    # The rule of a name belongs to the service: its refusals are 422 with a code of their own.
    name = serializers.CharField(max_length=600)


class DomainRecordOutput(serializers.Serializer[Any]):
    type = serializers.CharField(read_only=True)
    name = serializers.CharField(read_only=True)
    value = serializers.CharField(read_only=True)


class DomainOutput(serializers.ModelSerializer[Domain]):
    id = serializers.UUIDField(source="uuid", read_only=True)
    record = serializers.SerializerMethodField()

    class Meta:
        model = Domain
        fields = (
            "id",
            "name",
            "state",
            "record",
            "trouble",
            "found",
            "verified_at",
            "last_checked_at",
            "missing_since",
            "next_check_at",
            "created_at",
        )
        read_only_fields = fields

    @extend_schema_field(DomainRecordOutput)
    def get_record(self, domain: Domain) -> dict[str, str]:
        return {"type": "TXT", "name": record_name(domain.name), "value": record_value(domain.token)}


class DomainListView(ApiView):
    required_permissions = {"GET": "domain.view", "POST": "domain.verify"}

    @extend_schema(operation_id="v1_organizations_domains_list", responses=page_of(DomainOutput))
    def get(self, request: Request, slug: str) -> Response:
        """List the domains of the Organization, each with the record that proves it."""
        organization = get_organization(request, slug, "domain.view")
        paginator = NewestFirst()
        page = paginator.paginate_queryset(list_domains(organization), request, view=self)
        return paginator.get_paginated_response(DomainOutput(page, many=True).data)

    @extend_schema(request=AddDomainInput, responses={201: DomainOutput})
    def post(self, request: Request, slug: str) -> Response:
        """Claim a domain; it is proven when its record stands in the DNS."""
        organization = get_organization(request, slug, "domain.verify")
        data = AddDomainInput(data=request.data)
        data.is_valid(raise_exception=True)
        domain = add_domain(
            organization=organization,
            name=data.validated_data["name"],
            actor=cast(User, request.user),
            now=timezone.now(),
        )
        return Response(DomainOutput(domain).data, status=status.HTTP_201_CREATED)


class DomainView(ApiView):
    required_permissions = {"GET": "domain.view", "DELETE": "domain.verify"}

    @extend_schema(responses=DomainOutput)
    def get(self, request: Request, slug: str, domain: uuid.UUID) -> Response:
        """Show one domain and what the last look at its record found."""
        organization = get_organization(request, slug, "domain.view")
        return Response(DomainOutput(find_domain(organization, domain)).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, slug: str, domain: uuid.UUID) -> Response:
        """Give a domain up; refused while an Application runs under it."""
        organization = get_organization(request, slug, "domain.verify")
        row = find_domain(organization, domain)
        remove_domain(domain_id=row.pk, actor=cast(User, request.user), now=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)


class DomainCheckView(ApiView):
    required_permissions = {"POST": "domain.verify"}

    @extend_schema(request=None, responses=DomainOutput)
    def post(self, request: Request, slug: str, domain: uuid.UUID) -> Response:
        """Look at the record now."""
        organization = get_organization(request, slug, "domain.verify")
        row = find_domain(organization, domain)
        return Response(DomainOutput(check_domain(domain=row, actor=cast(User, request.user), now=timezone.now())).data)
