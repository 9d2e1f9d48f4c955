"""Disputes for reading, and the account that one of them froze."""

from typing import cast

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy
from django.utils.translation import gettext_lazy as _

from billing.admin.base import MoneyAdmin, shown_amount
from billing.admin.reasons import ask_reason
from billing.models import Dispute
from billing.services.disputes import unfreeze_account
from catalyst.core.errors import DomainError
from tenancy.models import User


@admin.register(Dispute)
class DisputeAdmin(MoneyAdmin):
    view_permission = "billing.view_all"
    list_display = ("psp_dispute_id", "organization_slug", "amount", "state", "opened_at", "closed_at", "frozen_at")
    list_select_related = ("organization__organization", "invoice")
    list_filter = ("state",)
    search_fields = ("=psp_dispute_id", "=organization__organization__slug")
    ordering = ("-id",)
    fields = (
        "psp_dispute_id",
        "organization_slug",
        "invoice",
        "amount",
        "state",
        "opened_at",
        "closed_at",
        "frozen_at",
    )
    actions = ("unfreeze",)

    @admin.display(description=_("amount"), ordering="amount_minor")
    def amount(self, dispute: Dispute) -> str:
        return shown_amount(dispute.amount_minor, dispute.currency_id)

    @admin.display(description=_("account frozen since"))
    def frozen_at(self, dispute: Dispute) -> str:
        frozen_at = dispute.organization.frozen_at
        return f"{timezone.localtime(frozen_at):%Y-%m-%d %H:%M}" if frozen_at else "-"

    def has_unfreeze_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "refund.issue")

    @admin.action(description=gettext_lazy("Unfreeze the account"), permissions=["unfreeze"])
    def unfreeze(self, request: HttpRequest, queryset: QuerySet[Dispute]) -> HttpResponse | None:
        names = sorted({dispute.organization.organization.slug for dispute in queryset})
        answer = ask_reason(
            self,
            request,
            action="unfreeze",
            question=gettext("Let this account be used again?"),
            effects=[gettext("%(name)s can spend its credit and use codes again.") % {"name": name} for name in names],
        )
        if not isinstance(answer, str):
            return answer
        for organization_id in sorted({dispute.organization_id for dispute in queryset}):
            try:
                unfreeze_account(
                    organization_id=organization_id,
                    reason=answer,
                    actor=cast(User, request.user),
                    now=timezone.now(),
                )
            except DomainError as error:
                self.message_user(request, error.message, messages.ERROR)
                continue
            self.message_user(request, gettext("The account can be used again."), messages.SUCCESS)
        return None
