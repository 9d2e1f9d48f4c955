"""The way to the processor's own page about cards and receipts."""

from django.conf import settings
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api import schema
from billing.api.views.base import BillingView
from billing.services.cards import open_portal
from tenancy.api.scoping import get_organization

_EDIT = "billing.edit"


class BillingPortalView(BillingView):
    required_permissions = {"POST": _EDIT}

    @extend_schema(request=None, responses=schema.BillingPortalOutput)
    def post(self, request: Request, slug: str) -> Response:
        """Return a link to the card processor's portal; it works for a few minutes. 409 before the first card."""
        organization = get_organization(request, slug, _EDIT)
        back = f"{settings.PUBLIC_URL}{reverse('console-billing', args=[organization.slug])}"
        address = open_portal(organization=organization, return_url=back)
        return Response({"portal_url": address})
