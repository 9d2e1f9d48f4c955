"""Billing accounts and the credit ledger, for reading."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from billing.admin.base import MoneyAdmin, shown_amount
from billing.models import Account, LedgerEntry
from tenancy.admin import GuardedAdmin


@admin.register(Account)
class AccountAdmin(GuardedAdmin):
    view_permission = "billing.view_all"
    list_display = ("organization", "posted", "held", "available", "frozen_at")
    list_select_related = ("organization",)
    search_fields = ("organization__slug", "organization__name", "=psp_customer_id")
    ordering = ("organization__slug",)
    fields = ("organization", "currency", "posted", "held", "available", "psp_customer_id", "frozen_at")

    @admin.display(description=_("posted"), ordering="posted_minor")
    def posted(self, account: Account) -> str:
        return shown_amount(account.posted_minor, account.currency_id)

    @admin.display(description=_("held"), ordering="held_minor")
    def held(self, account: Account) -> str:
        return shown_amount(account.held_minor, account.currency_id)

    @admin.display(description=_("available"))
    def available(self, account: Account) -> str:
        return shown_amount(account.posted_minor - account.held_minor, account.currency_id)


@admin.register(LedgerEntry)
class LedgerEntryAdmin(MoneyAdmin):
    view_permission = "billing.view_all"
    list_display = ("created_at", "organization_slug", "seq", "kind", "amount", "balance_after", "order", "actor")
    list_select_related = ("organization__organization", "order")
    list_filter = ("kind",)
    search_fields = ("=organization__organization__slug", "=order__number", "=idempotency_key")
    ordering = ("-id",)
    fields = (
        "organization_slug",
        "seq",
        "kind",
        "amount",
        "balance_after",
        "counter_account",
        "order",
        "redemption",
        "reverses_seq",
        "idempotency_key",
        "actor",
        "created_at",
    )

    @admin.display(description=_("amount"), ordering="amount_minor")
    def amount(self, entry: LedgerEntry) -> str:
        return shown_amount(entry.amount_minor, entry.organization.currency_id)

    @admin.display(description=_("balance after"))
    def balance_after(self, entry: LedgerEntry) -> str:
        return shown_amount(entry.balance_after_minor, entry.organization.currency_id)
