"""What an Organization has: balance, ledger, orders, and a Voucher's credit added to it."""

from http import HTTPStatus
from typing import cast

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api import representations, schema
from billing.api.serializers import VoucherCodeInput
from billing.api.views.base import BillingView
from billing.selectors.ledger import get_balance, list_entries
from billing.selectors.orders import details_of, get_order, list_orders
from billing.services.wallet import redeem_to_balance
from catalyst.core.http.address import client_address
from catalyst.core.http.pagination import NewestFirst
from tenancy.api.scoping import get_organization
from tenancy.models import User
from tenancy.selectors.sovereign import get_sovereign

_VIEW = "billing.view"


class NewestEntryFirst(NewestFirst):
    ordering = "-seq"


class BalanceView(BillingView):
    required_permissions = {"GET": _VIEW}

    @extend_schema(responses=schema.BalanceOutput)
    def get(self, request: Request, slug: str) -> Response:
        """Show the balance: posted, held by open checkouts, available."""
        organization = get_organization(request, slug, _VIEW)
        balance = get_balance(organization, currency=str(get_sovereign().currency_id))
        return Response(representations.balance(balance))


class LedgerView(BillingView):
    required_permissions = {"GET": _VIEW}

    @extend_schema(responses=schema.LedgerEntryOutput(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """List the credit ledger, newest first."""
        organization = get_organization(request, slug, _VIEW)
        paginator = NewestEntryFirst()
        page = paginator.paginate_queryset(list_entries(organization), request, view=self) or []
        return paginator.get_paginated_response([representations.ledger_entry(entry) for entry in page])


class VoucherRedeemView(BillingView):
    required_permissions = {"POST": "voucher.redeem"}

    @extend_schema(request=VoucherCodeInput, responses={201: schema.LedgerEntryOutput})
    def post(self, request: Request, slug: str) -> Response:
        """Turn a Voucher into credit without buying anything."""
        organization = get_organization(request, slug, "voucher.redeem")
        data = VoucherCodeInput(data=request.data)
        data.is_valid(raise_exception=True)
        entry = redeem_to_balance(
            code=data.validated_data["code"],
            organization=organization,
            sovereign=get_sovereign(),
            actor=cast(User, request.user),
            address=client_address(request),
            now=timezone.now(),
        )
        return Response(representations.ledger_entry(entry), status=HTTPStatus.CREATED)


class OrderListView(BillingView):
    required_permissions = {"GET": _VIEW}

    @extend_schema(responses=schema.OrderOutput(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """List the orders, newest first."""
        organization = get_organization(request, slug, _VIEW)
        paginator = NewestFirst()
        page = paginator.paginate_queryset(list_orders(organization), request, view=self) or []
        return paginator.get_paginated_response([representations.order(details_of(row)) for row in page])


class OrderView(BillingView):
    required_permissions = {"GET": _VIEW}

    @extend_schema(responses=schema.OrderOutput)
    def get(self, request: Request, slug: str, number: str) -> Response:
        """Show one order with its lines."""
        organization = get_organization(request, slug, _VIEW)
        return Response(representations.order(get_order(organization, number)))
