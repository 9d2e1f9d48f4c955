"""Campaigns: many codes at once, looked over before they are issued; their list, their sheets and their report."""

import uuid
from collections.abc import Callable
from typing import Any, cast
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from billing.admin.base import shown_amount
from billing.admin.forms import IssueVoucherForm
from billing.admin.voucher_sheets import PER_SHEET, cards, codes_csv, redeem_address
from billing.models import VoucherBatch
from billing.selectors.voucher_report import Campaign, campaign_report
from billing.services.voucher_batches import (
    MOST_CODES,
    BatchTerms,
    check_batch,
    issue_batch,
    revoke_batch,
    set_batch_active,
    take_codes,
)
from billing.services.vouchers import VoucherTerms
from catalyst.core.csv_text import write_csv
from catalyst.core.errors import DomainError
from catalyst.core.http.downloads import csv_response
from tenancy.admin import GuardedAdmin, ask_first
from tenancy.models import User
from tenancy.selectors.sovereign import get_sovereign

_REPORT = "report.view"


class IssueBatchForm(IssueVoucherForm):
    count = forms.IntegerField(label=_("Number of codes"), min_value=1, max_value=MOST_CODES)
    partner = forms.CharField(label=_("Partner"), max_length=120, required=False)
    code = None  # type: ignore[assignment]  # the codes of a batch are generated
    campaign = forms.CharField(label=_("Campaign"), max_length=60)
    max_redemptions = forms.IntegerField(label=_("Uses of each code"), min_value=1, max_value=10**6, initial=1)

    field_order = ("count", "credit", "campaign", "partner", "description")

    def batch(self) -> BatchTerms:
        said = dict(self.cleaned_data)
        return BatchTerms(count=said.pop("count"), partner=said.pop("partner"), terms=VoucherTerms(**said))


@admin.register(VoucherBatch)
class VoucherBatchAdmin(GuardedAdmin):
    view_permission = "voucher.list"
    add_permission = "voucher.issue"
    change_list_template = "admin/billing/voucher_batches.html"
    change_form_template = "admin/billing/voucher_batch.html"
    list_display = ("campaign", "partner", "count", "live", "issued_by", "created_at")
    list_select_related = ("issued_by",)
    search_fields = ("campaign", "partner")
    ordering = ("-id",)
    fields = ("campaign", "partner", "count", "live", "issued_by", "created_at")
    actions = ("pause", "resume", "revoke")

    def get_queryset(self, request: HttpRequest) -> QuerySet[VoucherBatch]:
        live = Count("vouchers", filter=Q(vouchers__revoked_at=None, vouchers__active=True))
        rows: QuerySet[VoucherBatch] = super().get_queryset(request).annotate(live_count=live)
        return rows

    @admin.display(description=_("neither paused nor revoked"))
    def live(self, row: Any) -> int:
        return int(row.live_count)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Ask for the terms, show what they may cost, and issue once the person has confirmed that."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        sovereign = get_sovereign()
        form = IssueBatchForm(request.POST or None, currency=str(sovereign.currency_id))
        if not form.is_valid():
            return self._form(request, form)
        batch = form.batch()
        try:
            check_batch(batch, sovereign)
            token = _token(request.POST.get("token", ""))
            if token is None:
                return self._preview(request, form, batch)
            actor = cast(User, request.user)
            row = issue_batch(batch=batch, sovereign=sovereign, token=token, actor=actor, now=timezone.now())
        except DomainError as error:
            name = error.pointer.strip("/").partition("/")[0]
            form.add_error(name if name in form.fields else None, error.message)
            return self._form(request, form)
        self.message_user(request, gettext("The codes are issued. Download them below."), messages.SUCCESS)
        return redirect("admin:billing_voucherbatch_change", row.pk)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        row = self.get_object(request, object_id)
        count = row.vouchers.filter(revoked_at=None).count() if row is not None else 0
        sheets = range(1, -(-count // PER_SHEET) + 1)
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), "sheets": sheets})

    def _form(self, request: HttpRequest, form: IssueBatchForm) -> TemplateResponse:
        context = self._context(request, gettext("Issue a batch of vouchers"))
        status = 422 if form.errors else 200
        return TemplateResponse(request, "admin/billing/form.html", {**context, "form": form}, status=status)

    def _preview(self, request: HttpRequest, form: IssueBatchForm, batch: BatchTerms) -> TemplateResponse:
        exposure = batch.exposure()
        context = {
            **self._context(request, gettext("Issue these vouchers?")),
            "batch": batch,
            "credit": shown_amount(batch.terms.credit.amount, batch.terms.credit.currency),
            "exposure": shown_amount(exposure.amount, exposure.currency),
            "sent": [(name, request.POST.get(name, "")) for name in form.fields],
            "token": uuid.uuid4(),
        }
        return TemplateResponse(request, "admin/billing/voucher_preview.html", context)

    def _context(self, request: HttpRequest, title: str) -> dict[str, Any]:
        return {**self.admin_site.each_context(request), "title": title, "opts": self.opts}

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "voucher.revoke")

    @admin.action(description=gettext_lazy("Pause"), permissions=["revoke"])
    def pause(self, request: HttpRequest, queryset: QuerySet[VoucherBatch]) -> TemplateResponse | None:
        question = gettext("Pause every code of these batches? Nobody can use them until you resume.")
        return self._act(request, queryset, "pause", question, _pause)

    @admin.action(description=gettext_lazy("Resume"), permissions=["revoke"])
    def resume(self, request: HttpRequest, queryset: QuerySet[VoucherBatch]) -> TemplateResponse | None:
        question = gettext("Let every code of these batches be used again?")
        return self._act(request, queryset, "resume", question, _resume)

    @admin.action(description=gettext_lazy("Revoke"), permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[VoucherBatch]) -> TemplateResponse | None:
        question = gettext("Revoke every code of these batches for good? Credit that was granted stays.")
        return self._act(request, queryset, "revoke", question, _revoke)

    def _act(
        self,
        request: HttpRequest,
        queryset: QuerySet[VoucherBatch],
        action: str,
        question: str,
        do: Callable[[VoucherBatch, User], int],
    ) -> TemplateResponse | None:
        page = ask_first(self, request, queryset, action=action, question=question)
        if page is not None:
            return page
        done = sum(do(row, cast(User, request.user)) for row in queryset)
        text = ngettext("%(count)d voucher is changed.", "%(count)d vouchers are changed.", done)
        self.message_user(request, text % {"count": done}, messages.SUCCESS)
        return None

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("report/", view(self.report), name="billing_voucher_report"),
            path("report.csv", view(self.report_csv), name="billing_voucher_report_csv"),
            path("<int:batch_id>/codes.csv", view(self.codes), name="billing_voucherbatch_codes"),
            path("<int:batch_id>/sheet/", view(self.sheet), name="billing_voucherbatch_sheet"),
            *super().get_urls(),
        ]

    def codes(self, request: HttpRequest, batch_id: int) -> HttpResponse:
        """Return every live code as CSV. A POST: whoever takes codes is written down."""
        return _taking(self._codes)(request, batch_id)

    def sheet(self, request: HttpRequest, batch_id: int) -> HttpResponse:
        """Return one sheet of QR codes to print."""
        return _taking(self._sheet)(request, batch_id)

    def _codes(self, request: HttpRequest, batch_id: int) -> HttpResponse:
        self._check_reader(request)
        row, found = take_codes(batch_id=batch_id, form="csv", actor=cast(User, request.user))
        return csv_response(codes_csv(row, found), name=f"vouchers-{row.pk}")

    def _sheet(self, request: HttpRequest, batch_id: int) -> HttpResponse:
        self._check_reader(request)
        typed = request.POST.get("sheet", "1")
        number = int(typed) if typed.isascii() and typed.isdigit() and 0 < int(typed) <= MOST_CODES else 1
        part = slice((number - 1) * PER_SHEET, number * PER_SHEET)
        row, found = take_codes(batch_id=batch_id, part=part, form=f"sheet {number}", actor=cast(User, request.user))
        context = {"batch": row, "number": number, "cards": cards(found), "address": redeem_address()}
        return TemplateResponse(request, "admin/billing/voucher_sheet.html", context)

    def _check_reader(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied

    def report(self, request: HttpRequest) -> HttpResponse:
        """Show what every campaign has cost and may still cost."""
        self._check_reporter(request)
        found = campaign_report(sovereign=get_sovereign(), now=timezone.now())
        context = {**self._context(request, gettext("Campaigns")), "report": found}
        return TemplateResponse(request, "admin/billing/voucher_report.html", context)

    def report_csv(self, request: HttpRequest) -> HttpResponse:
        """Return the same as CSV, each line with the Sovereign's domain; amounts in minor units."""
        self._check_reporter(request)
        found = campaign_report(sovereign=get_sovereign(), now=timezone.now())
        names = (*Campaign.__dataclass_fields__, "unspent_minor")
        rows = [[found.sovereign, found.currency, *(getattr(row, name) for name in names)] for row in found.campaigns]
        return csv_response(write_csv([["sovereign", "currency", *names], *rows]), name=f"campaigns-{found.sovereign}")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        sees_report = self.may(request, _REPORT)
        return super().changelist_view(request, {**(extra_context or {}), "sees_report": sees_report})

    def _check_reporter(self, request: HttpRequest) -> None:
        if not self.may(request, _REPORT):
            raise PermissionDenied


def _taking(view: Callable[[HttpRequest, int], HttpResponse]) -> Callable[[HttpRequest, int], HttpResponse]:
    return never_cache(require_POST(view))


def _token(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _pause(row: VoucherBatch, actor: User) -> int:
    return set_batch_active(batch_id=row.pk, active=False, actor=actor)


def _resume(row: VoucherBatch, actor: User) -> int:
    return set_batch_active(batch_id=row.pk, active=True, actor=actor)


def _revoke(row: VoucherBatch, actor: User) -> int:
    return revoke_batch(batch_id=row.pk, actor=actor, now=timezone.now())
