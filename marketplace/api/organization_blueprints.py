"""The catalogue as the members of one Organization see it: with its own Blueprints, the nearest owning each name."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalyst.core.http.views import ApiView
from marketplace.api.pagination import CataloguePagination
from marketplace.api.serializers import BlueprintDetailOutput, BlueprintOutput
from marketplace.api.views import SEARCH
from marketplace.selectors.catalogue import get_blueprint, list_cards
from tenancy.api.scoping import get_organization
from tenancy.selectors.sovereign import get_sovereign

_VIEW = "organization.view"


class MemberBlueprintOutput(BlueprintOutput):
    source = serializers.CharField()  # type: ignore[assignment]  # DRF calls an argument of every field so
    private = serializers.BooleanField(source="is_private", help_text="Only members of the Organization see it.")
    shadows = serializers.BooleanField(help_text="The same name exists in the catalogue; this one takes its place.")


class MemberBlueprintDetailOutput(BlueprintDetailOutput, MemberBlueprintOutput):
    pass


class MemberBlueprintListView(ApiView):
    required_permissions = {"GET": _VIEW}

    @extend_schema(
        operation_id="v1_organization_blueprints_list",
        responses=MemberBlueprintOutput(many=True),
        parameters=SEARCH,
    )
    def get(self, request: Request, slug: str) -> Response:
        """List what the Organization may have, its own Blueprints among it."""
        organization = get_organization(request, slug, _VIEW)
        currency, wanted = str(get_sovereign().currency_id), request.query_params
        cards = list_cards(
            organization,
            currency=currency,
            at=timezone.now(),
            search=wanted.get("search", ""),
            category=wanted.get("category", ""),
            tag=wanted.get("tag", ""),
        )
        paginator = CataloguePagination()
        page = paginator.paginate_queryset(cards, request, view=self)
        output: Any = MemberBlueprintOutput(page, many=True, context={"currency": currency})
        return paginator.get_paginated_response(output.data)


class MemberBlueprintView(ApiView):
    required_permissions = {"GET": _VIEW}

    @extend_schema(responses=MemberBlueprintDetailOutput)
    def get(self, request: Request, slug: str, name: str) -> Response:
        """Show what a name means to the Organization."""
        organization = get_organization(request, slug, _VIEW)
        currency = str(get_sovereign().currency_id)
        detail = get_blueprint(name, organization, currency=currency, at=timezone.now())
        context = {"currency": currency, "detail": detail}
        return Response(MemberBlueprintDetailOutput(detail.card, context=context).data)
