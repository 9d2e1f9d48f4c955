"""The Sovereign's staff: processor keys, and the orders of every Organization."""

from typing import cast

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api import representations, schema
from billing.api.serializers import BillingSettingsInput
from billing.api.views.base import BillingView
from billing.selectors.orders import list_all_orders
from billing.services.settings import update_billing_settings
from catalyst.core.http.pagination import NewestFirst
from tenancy.models import User

_SETTINGS = "settings.payment"


class BillingSettingsView(BillingView):
    required_permissions = {"GET": _SETTINGS, "PATCH": _SETTINGS}

    @extend_schema(responses=schema.BillingSettingsOutput)
    def get(self, request: Request) -> Response:
        """Show which processor keys are stored; secrets by their last four characters."""
        return Response(representations.billing_settings())

    @extend_schema(request=BillingSettingsInput, responses=schema.BillingSettingsOutput)
    def patch(self, request: Request) -> Response:
        """Change only what is sent; null clears."""
        data = BillingSettingsInput(data=request.data)
        data.is_valid(raise_exception=True)
        if data.validated_data:
            update_billing_settings(changes=dict(data.validated_data), actor=cast(User, request.user))
        return Response(representations.billing_settings())


class StaffOrderListView(BillingView):
    required_permissions = {"GET": "billing.view_all"}

    @extend_schema(responses=schema.StaffOrderOutput(many=True))
    def get(self, request: Request) -> Response:
        """List the orders of every Organization, newest first."""
        paginator = NewestFirst()
        page = paginator.paginate_queryset(list_all_orders(), request, view=self) or []
        return paginator.get_paginated_response([representations.staff_order(row) for row in page])
