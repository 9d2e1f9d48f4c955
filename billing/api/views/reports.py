"""Reports for the Sovereign's staff, keyed by the Sovereign so that a franchisor can settle many."""

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api import schema
from billing.api.serializers import ReportInput
from billing.api.views.base import BillingView
from billing.selectors.reports import as_json, revenue_report
from tenancy.selectors.sovereign import get_sovereign


class RevenueReportView(BillingView):
    required_permissions = {"GET": "report.view"}

    @extend_schema(parameters=[ReportInput], responses=schema.RevenueReportOutput)
    def get(self, request: Request) -> Response:
        """Show recurring and billed revenue, churn, Plans, campaigns and credit outstanding; amounts include VAT."""
        months = ReportInput.read(request.query_params)["months"]
        report = revenue_report(sovereign=get_sovereign(), months=months, now=timezone.now())
        return Response(as_json(report))
