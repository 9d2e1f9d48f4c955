"""Vouchers: anybody's preview, and the managers' issue, list, detail and revocation."""

from http import HTTPStatus
from typing import Any, cast

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api import representations, schema
from billing.api.serializers import IssueVoucherInput, VoucherCodeInput
from billing.api.views.base import BillingView, guesser_of
from billing.models import Voucher
from billing.selectors.vouchers import find_voucher, list_redemptions, list_vouchers
from billing.services.voucher_codes import code_key, normalize_code
from billing.services.vouchers import (
    VoucherTerms,
    issue_voucher,
    preview_voucher,
    revoke_voucher,
    voucher_not_found,
)
from catalyst.core.http.pagination import NewestFirst
from catalyst.core.money import Money
from tenancy.api.permissions import PUBLIC
from tenancy.models import User
from tenancy.selectors.sovereign import get_sovereign


class VoucherPreviewView(BillingView):
    required_permissions = {"POST": PUBLIC}

    @extend_schema(request=VoucherCodeInput, responses=schema.VoucherPreviewOutput)
    def post(self, request: Request) -> Response:
        """Say what a code is worth and whether it is accepted now; nothing is redeemed."""
        data = VoucherCodeInput(data=request.data)
        data.is_valid(raise_exception=True)
        voucher = preview_voucher(code=data.validated_data["code"], guesser=guesser_of(request), now=timezone.now())
        return Response(representations.voucher_preview(voucher, accepting=True))

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        response.headers["Cache-Control"] = "no-store"
        return response


class VoucherListView(BillingView):
    required_permissions = {"GET": "voucher.list", "POST": "voucher.issue"}

    @extend_schema(responses=schema.StaffVoucherOutput(many=True))
    def get(self, request: Request) -> Response:
        """List every Voucher, newest first."""
        paginator = NewestFirst()
        page = paginator.paginate_queryset(list_vouchers(), request, view=self) or []
        now = timezone.now()
        return paginator.get_paginated_response([representations.staff_voucher(row, now=now) for row in page])

    @extend_schema(request=IssueVoucherInput, responses={201: schema.StaffVoucherOutput})
    def post(self, request: Request) -> Response:
        """Issue a Voucher; without a code one is generated."""
        data = IssueVoucherInput(data=request.data)
        data.is_valid(raise_exception=True)
        terms = dict(data.validated_data)
        credit = terms.pop("credit")
        now = timezone.now()
        voucher, _code = issue_voucher(
            terms=VoucherTerms(credit=Money(credit["amount"], credit["currency"]), **terms),
            sovereign=get_sovereign(),
            actor=cast(User, request.user),
            now=now,
        )
        voucher.refresh_from_db()
        return Response(representations.staff_voucher(voucher, now=now), status=HTTPStatus.CREATED)


class VoucherView(BillingView):
    required_permissions = {"GET": "voucher.list", "DELETE": "voucher.revoke"}

    @extend_schema(responses=schema.StaffVoucherDetailOutput)
    def get(self, request: Request, code: str) -> Response:
        """Show one Voucher with its redemptions, a revoked one too."""
        voucher = _find(code)
        answer = representations.staff_voucher(voucher, now=timezone.now())
        answer["redemptions"] = [representations.redemption(row) for row in list_redemptions(voucher)]
        return Response(answer)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, code: str) -> Response:
        """Revoke a Voucher for good; credit that was granted stays."""
        revoke_voucher(voucher_id=_find(code).pk, actor=cast(User, request.user), now=timezone.now())
        return Response(status=HTTPStatus.NO_CONTENT)


def _find(code: str) -> Voucher:
    normal = normalize_code(code)
    voucher = find_voucher(code_key(normal)) if normal else None
    if voucher is None:
        raise voucher_not_found()
    return voucher
