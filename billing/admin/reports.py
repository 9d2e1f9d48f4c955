"""Subscriptions for support, and the report of the business with its chart: a plain page, and the same as CSV."""

import csv
from dataclasses import dataclass
from io import StringIO
from typing import Any, cast

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy
from django.utils.translation import gettext_lazy as _

from billing.admin.base import MoneyAdmin, ask_first, shown_amount
from billing.models import Subscription, SubscriptionEvent
from billing.selectors.reports import Month, Report, revenue_report
from billing.services.subscriptions import cancel_subscription
from catalyst.core.errors import DomainError
from tenancy.admin import ReadOnlyInline
from tenancy.models import User
from tenancy.selectors.sovereign import get_sovereign

_MONTHS = 12
_WIDTH, _HEIGHT = 720, 220
_BAR_SHARE = 0.6


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of the chart, in the units of its view box. ``text`` is what the bar says to people who cannot see it."""

    x: float
    y: float
    width: float
    height: float
    middle: float
    label: str
    text: str


class SubscriptionEventInline(ReadOnlyInline):
    model = SubscriptionEvent
    fields = ("seq", "from_state", "to_state", "plan", "monthly_minor", "actor", "reason", "at")
    ordering = ("seq",)


@admin.register(Subscription)
class SubscriptionAdmin(MoneyAdmin):
    view_permission = "billing.view_all"
    change_list_template = "admin/billing/subscriptions.html"
    list_display = ("organization_slug", "env_type", "plan", "state", "monthly", "collection", "current_period")
    list_select_related = ("organization__organization",)
    list_filter = ("state", "collection", "plan")
    search_fields = ("=organization__organization__slug", "=order__number", "=psp_subscription_id")
    ordering = ("-id",)
    inlines = (SubscriptionEventInline,)
    actions = ("end_at_once",)

    @admin.display(description=_("monthly"), ordering="monthly_minor")
    def monthly(self, row: Subscription) -> str:
        return shown_amount(row.monthly_minor, row.currency_id)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_end_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "subscription.manage")

    @admin.action(description=gettext_lazy("End at once"), permissions=["end"])
    def end_at_once(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> TemplateResponse | None:
        question = gettext("End these subscriptions at once? Their Applications are removed, and nothing is refunded.")
        if page := ask_first(self, request, queryset, action="end_at_once", question=question):
            return page
        for row in queryset:
            try:
                cancel_subscription(
                    subscription_id=row.pk,
                    at_once=True,
                    actor=cast(User, request.user),
                    reason="support",
                    now=timezone.now(),
                )
            except DomainError as error:
                self.message_user(request, f"{row}: {error.message}", messages.ERROR)
        return None

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("report/", view(self.report), name="billing_report"),
            path("report.csv", view(self.report_csv), name="billing_report_csv"),
            *super().get_urls(),
        ]

    def report(self, request: HttpRequest) -> HttpResponse:
        """Show the last twelve months."""
        report = self._report(request)
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Report"),
            "opts": self.model._meta,
            "report": report,
            "bars": bars(report),
            "width": _WIDTH,
            "height": _HEIGHT,
        }
        return TemplateResponse(request, "admin/billing/report.html", context)

    def report_csv(self, request: HttpRequest) -> HttpResponse:
        """Return the months as CSV, each line with the Sovereign's domain; amounts in minor units."""
        report = self._report(request)
        answer = HttpResponse(months_csv(report), content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = f'attachment; filename="report-{report.sovereign}.csv"'
        return answer

    def _report(self, request: HttpRequest) -> Report:
        if not self.may(request, "report.view"):
            raise PermissionDenied
        return revenue_report(sovereign=get_sovereign(), months=_MONTHS, now=timezone.now())


def months_csv(report: Report) -> str:
    """Return one line for each month."""
    fields = (
        *("mrr_minor", "live", "started", "churned", "churn_percent", "lost_mrr_minor"),
        *("billed_minor", "credit_minor", "card_minor", "tax_minor", "refunded_minor"),
    )
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(["sovereign", "month", "currency", *fields])
    for month in report.months:
        writer.writerow([report.sovereign, month.label, report.currency, *(getattr(month, name) for name in fields)])
    return text.getvalue()


def bars(report: Report) -> list[Bar]:
    """Return the bars of recurring revenue, one for each month, scaled to the highest."""
    highest = max((month.mrr_minor for month in report.months), default=0) or 1
    step = _WIDTH / len(report.months)
    return [
        _bar(month, report.currency, position * step, step, highest) for position, month in enumerate(report.months)
    ]


def _bar(month: Month, currency: str, left: float, step: float, highest: int) -> Bar:
    height = round(_HEIGHT * month.mrr_minor / highest, 1)
    return Bar(
        x=round(left + step * (1 - _BAR_SHARE) / 2, 1),
        y=round(_HEIGHT - height, 1),
        width=round(step * _BAR_SHARE, 1),
        height=height,
        middle=round(left + step / 2, 1),
        label=month.start.strftime("%m/%y"),
        text=f"{month.label}: {shown_amount(month.mrr_minor, currency)}",
    )
