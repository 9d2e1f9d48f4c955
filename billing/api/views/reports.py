"""Reports for the Sovereign's staff, keyed by the Sovereign so that a franchisor can settle many."""

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.views.base import BillingView
from billing.selectors.reports import MOST_MONTHS, as_json, revenue_report
from tenancy.selectors.sovereign import get_sovereign


class ReportInput(serializers.Serializer[object]):
    months = serializers.IntegerField(
        min_value=1, max_value=MOST_MONTHS, default=12, error_messages={"invalid": _("Give a whole number of months.")}
    )


class RevenueReportView(BillingView):
    required_permissions = {"GET": "report.view"}

    @extend_schema(parameters=[OpenApiParameter("months", int)], responses={200: dict})
    def get(self, request: Request) -> Response:
        """Show recurring and billed revenue, churn, Plans, campaigns and credit outstanding; amounts include VAT."""
        data = ReportInput(data=request.query_params)
        data.is_valid(raise_exception=True)
        report = revenue_report(sovereign=get_sovereign(), months=data.validated_data["months"], now=timezone.now())
        return Response(as_json(report))
