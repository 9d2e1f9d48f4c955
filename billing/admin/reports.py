"""Subscriptions for support, and the report of the business with its chart: a plain page, and the same as CSV."""

from dataclasses import dataclass
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

from billing.admin.base import MoneyAdmin, shown_amount
from billing.admin.reasons import ask_reason
from billing.models import Subscription, SubscriptionEvent
from billing.selectors.reports import Month, Report, revenue_report
from billing.services.subscriptions import cancel_subscription
from catalyst.core.csv_text import write_csv
from catalyst.core.errors import DomainError
from catalyst.core.http.downloads import csv_response
from tenancy.admin import ReadOnlyInline
from tenancy.models import User
from tenancy.selectors.sovereign import get_sovereign

_REPORT = "report.view"
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
    fields = ("seq", "from_state", "to_state", "plan", "monthly", "actor", "reason", "at")
    readonly_fields = ("monthly",)
    ordering = ("seq",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[SubscriptionEvent]:
        events: QuerySet[SubscriptionEvent] = super().get_queryset(request).select_related("subscription")
        return events

    @admin.display(description=_("monthly"))
    def monthly(self, event: SubscriptionEvent) -> str:
        return shown_amount(event.monthly_minor, event.subscription.currency_id)


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
        answer = ask_reason(
            self,
            request,
            action="end_at_once",
            question=gettext("End these subscriptions at once?"),
            effects=[
                gettext("%(subscription)s ends. Its Applications are removed, and nothing is refunded.")
                % {"subscription": _name(row)}
                for row in queryset
            ],
        )
        if not isinstance(answer, str):
            return answer
        for row in queryset:
            try:
                cancel_subscription(
                    subscription_id=row.pk,
                    at_once=True,
                    actor=cast(User, request.user),
                    reason=answer,
                    now=timezone.now(),
                )
            except DomainError as error:
                self.message_user(request, f"{_name(row)}: {error.message}", messages.ERROR)
                continue
            done = gettext("%(subscription)s has ended.") % {"subscription": _name(row)}
            self.message_user(request, done, messages.SUCCESS)
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
        return csv_response(months_csv(report), name=f"report-{report.sovereign}")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        sees_report = self.may(request, _REPORT)
        return super().changelist_view(request, {**(extra_context or {}), "sees_report": sees_report})

    def _report(self, request: HttpRequest) -> Report:
        if not self.may(request, _REPORT):
            raise PermissionDenied
        return revenue_report(sovereign=get_sovereign(), months=_MONTHS, now=timezone.now())


def _name(row: Subscription) -> str:
    """Return a subscription as staff know it: whose it is, for which Environments, and what it buys."""
    return f"{row.organization.organization.slug} {row.env_type} {row.plan}"


def months_csv(report: Report) -> str:
    """Return one line for each month."""
    fields = (
        *("mrr_minor", "live", "started", "churned", "churn_percent", "lost_mrr_minor"),
        *("billed_minor", "credit_minor", "card_minor", "tax_minor", "refunded_minor"),
    )
    rows = [
        [report.sovereign, month.label, report.currency, *(getattr(month, name) for name in fields)]
        for month in report.months
    ]
    return write_csv([["sovereign", "month", "currency", *fields], *rows])


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
