"""The public catalogue as JSON: no sign-in, the same answer for everybody, cacheable for a minute."""

from typing import Any

from django.conf import settings
from django.utils import timezone, translation
from django.utils.decorators import method_decorator
from django.utils.translation.trans_real import parse_accept_lang_header
from django.views.decorators.cache import cache_control
from django.views.decorators.vary import vary_on_headers
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from marketplace.api import serializers
from marketplace.api.pagination import CataloguePagination
from marketplace.selectors import catalogue, price_list
from tenancy.selectors.sovereign import get_sovereign


def _currency() -> str:
    return str(get_sovereign().currency_id)


def _language(header: str) -> str:
    """Return the first language of the header that this Sovereign's pages speak, else English."""
    known = dict(settings.LANGUAGES)
    wanted = (code.split("-")[0] for code, _quality in parse_accept_lang_header(header.lower()))
    return next((code for code in wanted if code in known), "en")


SEARCH = [
    OpenApiParameter(name, str, description=text)
    for name, text in (
        ("search", "Words that title, tagline or tags contain."),
        ("category", "Slug of a category."),
        ("tag", "One tag, exactly."),
    )
]


@method_decorator([cache_control(public=True, max_age=60), vary_on_headers("Accept-Language")], name="dispatch")
class PublicCatalogueView(APIView):
    """Base: anybody may read, and nothing depends on who reads."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Speak the language that the header asks for; no cookie takes part, so that caches may keep the answer."""
        super().initial(request, *args, **kwargs)
        translation.activate(_language(request.headers.get("Accept-Language", "")))

    def paginated(self, rows: list[Any], output: type[Serializer[Any]], currency: str) -> Response:
        """Answer one page of the rows with their count."""
        paginator = CataloguePagination()
        page = paginator.paginate_queryset(rows, self.request, view=self)
        return paginator.get_paginated_response(output(page, many=True, context={"currency": currency}).data)


class BlueprintListView(PublicCatalogueView):
    @extend_schema(responses=serializers.BlueprintOutput(many=True), parameters=SEARCH)
    def get(self, request: Request) -> Response:
        """List the listed Blueprints."""
        currency = _currency()
        wanted = request.query_params
        cards = catalogue.list_cards(
            currency=currency,
            at=timezone.now(),
            search=wanted.get("search", ""),
            category=wanted.get("category", ""),
            tag=wanted.get("tag", ""),
        )
        return self.paginated(cards, serializers.BlueprintOutput, currency)


class BlueprintView(PublicCatalogueView):
    @extend_schema(responses=serializers.BlueprintDetailOutput)
    def get(self, request: Request, name: str) -> Response:
        """Show one Blueprint by exact name."""
        currency = _currency()
        detail = catalogue.get_blueprint(name, currency=currency, at=timezone.now())
        context = {"currency": currency, "detail": detail}
        return Response(serializers.BlueprintDetailOutput(detail.card, context=context).data)


class PlanListView(PublicCatalogueView):
    @extend_schema(responses=serializers.PlanOutput(many=True))
    def get(self, request: Request) -> Response:
        """List the Plans."""
        currency = _currency()
        rows = price_list.list_plans(currency=currency, at=timezone.now())
        return self.paginated(rows, serializers.PlanOutput, currency)


class AddOnListView(PublicCatalogueView):
    @extend_schema(responses=serializers.AddOnOutput(many=True))
    def get(self, request: Request) -> Response:
        """List the Add-ons."""
        currency = _currency()
        rows = price_list.list_addons(currency=currency, at=timezone.now())
        return self.paginated(rows, serializers.AddOnOutput, currency)


class BundleListView(PublicCatalogueView):
    @extend_schema(responses=serializers.BundleOutput(many=True))
    def get(self, request: Request) -> Response:
        """List the Bundles with what they install today."""
        currency = _currency()
        rows = price_list.list_bundles(currency=currency, at=timezone.now())
        return self.paginated(rows, serializers.BundleOutput, currency)


class IndustryListView(PublicCatalogueView):
    @extend_schema(responses=serializers.IndustryOutput(many=True))
    def get(self, request: Request) -> Response:
        """List the business types with what they suggest."""
        currency = _currency()
        rows = price_list.list_industries(currency=currency, at=timezone.now())
        return self.paginated(rows, serializers.IndustryOutput, currency)
