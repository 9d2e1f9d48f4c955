"""The Organization's invoices with their PDFs, and whom they name."""

from typing import Any, cast

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api import invoices as shapes
from billing.api.serializers import BillingDetailsInput
from billing.api.views.base import BillingView
from billing.models import CreditNote, Invoice
from billing.selectors.invoices import (
    get_billing_details,
    get_credit_note,
    get_invoice,
    list_invoices,
    shown_invoice,
)
from billing.services.billing_details import Details, update_billing_details
from billing.services.documents import document_of
from catalyst.core.http.downloads import pdf_response
from catalyst.core.http.pagination import NewestFirst
from tenancy.api.scoping import get_organization
from tenancy.models import User

_VIEW, _EDIT = "billing.view", "billing.edit"
_PDF = {(200, "application/pdf"): OpenApiTypes.BINARY}


class WhateverIsAsked(BaseContentNegotiation):
    """The answer is a PDF, or a problem document, whatever the client says that it accepts."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class InvoiceListView(BillingView):
    required_permissions = {"GET": _VIEW}

    @extend_schema(responses=shapes.InvoiceOutput(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """List the issued invoices with their credit notes, newest first."""
        organization = get_organization(request, slug, _VIEW)
        paginator = NewestFirst()
        page: list[Invoice] = paginator.paginate_queryset(list_invoices(organization), request, view=self) or []
        return paginator.get_paginated_response([shapes.invoice(shown_invoice(row)) for row in page])


class InvoiceView(BillingView):
    required_permissions = {"GET": _VIEW}

    @extend_schema(responses=shapes.InvoiceOutput)
    def get(self, request: Request, slug: str, number: str) -> Response:
        """Show one invoice."""
        organization = get_organization(request, slug, _VIEW)
        return Response(shapes.invoice(shown_invoice(get_invoice(organization, number))))


class InvoicePdfView(BillingView):
    required_permissions = {"GET": _VIEW}
    content_negotiation_class = WhateverIsAsked

    @extend_schema(responses=_PDF)
    def get(self, request: Request, slug: str, number: str) -> HttpResponse:
        """Download an invoice: the same bytes each time."""
        return _pdf(get_invoice(get_organization(request, slug, _VIEW), number), number)


class CreditNotePdfView(BillingView):
    required_permissions = {"GET": _VIEW}
    content_negotiation_class = WhateverIsAsked

    @extend_schema(responses=_PDF)
    def get(self, request: Request, slug: str, number: str) -> HttpResponse:
        """Download a credit note: the same bytes each time."""
        return _pdf(get_credit_note(get_organization(request, slug, _VIEW), number), number)


class BillingDetailsView(BillingView):
    required_permissions = {"GET": _VIEW, "PUT": _EDIT}

    @extend_schema(responses=shapes.BillingDetailsOutput)
    def get(self, request: Request, slug: str) -> Response:
        """Show whom the next invoices name; what is empty is taken from the Organization."""
        organization = get_organization(request, slug, _VIEW)
        return Response(shapes.billing_details(get_billing_details(organization)))

    @extend_schema(request=BillingDetailsInput, responses=shapes.BillingDetailsOutput)
    def put(self, request: Request, slug: str) -> Response:
        """Say whom the next invoices name. Those issued before do not change."""
        organization = get_organization(request, slug, _EDIT)
        data = BillingDetailsInput(data=request.data)
        data.is_valid(raise_exception=True)
        row = update_billing_details(
            organization=organization,
            details=Details(**data.validated_data),
            actor=cast(User, request.user),
            now=timezone.now(),
        )
        return Response(shapes.billing_details(row))


def _pdf(subject: Invoice | CreditNote, number: str) -> HttpResponse:
    return pdf_response(bytes(document_of(subject).content), name=number)
