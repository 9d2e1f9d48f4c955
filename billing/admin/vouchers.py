"""Vouchers: issue, look at, pause, resume, revoke. Issued values are read-only."""

from collections.abc import Callable
from typing import Any, cast

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy
from django.utils.translation import gettext_lazy as _

from billing.admin.base import shown_amount
from billing.admin.forms import IssueVoucherForm
from billing.models import Redemption, Voucher
from billing.services.vouchers import issue_voucher, reveal_code, revoke_voucher, set_voucher_active
from catalyst.core.crypto import SealBroken
from catalyst.core.errors import DomainError
from tenancy.admin import GuardedAdmin, ReadOnlyInline, ask_first
from tenancy.models import User
from tenancy.selectors.sovereign import get_sovereign

_SHOWN_REDEMPTIONS = 100


class _Newest(BaseInlineFormSet):  # type: ignore[type-arg]
    """A campaign may have very many redemptions; the page shows the latest."""

    def get_queryset(self) -> Any:
        if not hasattr(self, "_newest"):
            rows = Redemption.objects.filter(voucher=self.instance).order_by("-id")
            self._newest = rows.select_related("organization__organization", "checkout__order")[:_SHOWN_REDEMPTIONS]
        return self._newest


class RedemptionInline(ReadOnlyInline):
    model = Redemption
    formset = _Newest
    fields = ("organization_slug", "state", "order_number", "reserved_at", "resolved_at")
    readonly_fields = ("organization_slug", "order_number")
    verbose_name_plural = _("newest redemptions")

    @admin.display(description=_("Organization"))
    def organization_slug(self, row: Redemption) -> str:
        return row.organization.organization.slug

    @admin.display(description=_("order"))
    def order_number(self, row: Redemption) -> str:
        return row.checkout.order.number if row.checkout else "-"


@admin.register(Voucher)
class VoucherAdmin(GuardedAdmin):
    view_permission = "voucher.list"
    add_permission = "voucher.issue"
    list_display = ("masked_code", "credit", "description", "redeemed", "active", "starts_at", "ends_at", "revoked_at")
    list_filter = ("active", ("revoked_at", admin.EmptyFieldListFilter))
    search_fields = ("=code_hint", "description", "campaign")
    ordering = ("-id",)
    fields = (
        "code",
        "credit",
        "description",
        "campaign",
        "redeemed",
        "reserved_count",
        "per_organization_limit",
        "active",
        "starts_at",
        "ends_at",
        "revoked_at",
        "issued_by",
        "created_at",
    )
    inlines = (RedemptionInline,)
    actions = ("pause", "resume", "revoke")

    @admin.display(description=_("code"), ordering="code_hint")
    def masked_code(self, voucher: Voucher) -> str:
        return f"…{voucher.code_hint}"

    @admin.display(description=_("code"))
    def code(self, voucher: Voucher) -> str:
        """Only voucher managers reach this page."""
        try:
            return reveal_code(voucher)
        except SealBroken:
            return self.masked_code(voucher)

    @admin.display(description=_("credit"), ordering="grant_minor")
    def credit(self, voucher: Voucher) -> str:
        return shown_amount(voucher.grant_minor, voucher.currency_id)

    @admin.display(description=_("redeemed"), ordering="redeemed_count")
    def redeemed(self, voucher: Voucher) -> str:
        return f"{voucher.redeemed_count} / {voucher.max_redemptions or '∞'}"

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        sovereign = get_sovereign()
        form = IssueVoucherForm(request.POST or None, currency=str(sovereign.currency_id))
        if form.is_valid():
            try:
                actor = cast(User, request.user)
                voucher, _code = issue_voucher(terms=form.terms(), sovereign=sovereign, actor=actor, now=timezone.now())
            except DomainError as error:
                form.add_error(_field_of(error, form), error.message)
            else:
                self.message_user(request, gettext("The voucher is issued. Its code stands below."), messages.SUCCESS)
                return redirect("admin:billing_voucher_change", voucher.pk)
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Issue a voucher"),
            "opts": self.opts,
            "form": form,
        }
        return TemplateResponse(request, "admin/billing/form.html", context, status=422 if form.errors else 200)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "voucher.revoke")

    @admin.action(description=gettext_lazy("Pause"), permissions=["revoke"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Voucher]) -> TemplateResponse | None:
        return self._act(
            request, queryset, "pause", gettext("Pause these vouchers? Nobody can use them until you resume."), _pause
        )

    @admin.action(description=gettext_lazy("Resume"), permissions=["revoke"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Voucher]) -> TemplateResponse | None:
        return self._act(request, queryset, "resume", gettext("Let these vouchers be used again?"), _resume)

    @admin.action(description=gettext_lazy("Revoke"), permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Voucher]) -> TemplateResponse | None:
        question = gettext("Revoke these vouchers for good? Credit that was granted stays.")
        return self._act(request, queryset, "revoke", question, _revoke)

    def _act(
        self,
        request: HttpRequest,
        queryset: QuerySet[Voucher],
        action: str,
        question: str,
        do: Callable[[Voucher, User], None],
    ) -> TemplateResponse | None:
        page = ask_first(self, request, queryset, action=action, question=question)
        if page is not None:
            return page
        done = 0
        for voucher in queryset:
            try:
                do(voucher, cast(User, request.user))
                done += 1
            except DomainError as error:
                self.message_user(request, f"{voucher}: {error.message}", messages.ERROR)
        if done:
            self.message_user(request, gettext("%(count)d vouchers are changed.") % {"count": done}, messages.SUCCESS)
        return None


def _pause(voucher: Voucher, actor: User) -> None:
    set_voucher_active(voucher_id=voucher.pk, active=False, actor=actor)


def _resume(voucher: Voucher, actor: User) -> None:
    set_voucher_active(voucher_id=voucher.pk, active=True, actor=actor)


def _revoke(voucher: Voucher, actor: User) -> None:
    revoke_voucher(voucher_id=voucher.pk, actor=actor, now=timezone.now())


def _field_of(error: DomainError, form: IssueVoucherForm) -> str | None:
    """Return the field that a refusal points at: ``/credit/amount`` is the credit."""
    field = error.pointer.strip("/").partition("/")[0]
    if error.code == "voucher_code_taken":
        field = "code"
    return field if field in form.fields else None
