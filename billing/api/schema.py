"""Shapes of the answers, for the published schema; ``representations`` builds the answers themselves."""

from typing import Any

from drf_spectacular.utils import inline_serializer
from rest_framework import serializers

from marketplace.api.serializers import MoneyOutput


class LineOutput(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=["plan", "blueprint", "addon", "discount"])
    reference = serializers.CharField()
    title = serializers.CharField()
    quantity = serializers.IntegerField()
    unit = MoneyOutput()
    total = MoneyOutput()


class QuoteOutput(serializers.Serializer[Any]):
    quote = serializers.CharField(help_text="A hash of what the customer was shown.")
    lines = LineOutput(many=True)
    total = MoneyOutput()
    credit = MoneyOutput()
    charge = MoneyOutput()
    then_monthly = MoneyOutput()
    voucher = inline_serializer(
        "QuoteVoucher", {"status": serializers.CharField(), "credit": MoneyOutput()}, required=False
    )


class OrderOutput(serializers.Serializer[Any]):
    number = serializers.CharField()
    state = serializers.ChoiceField(choices=["pending_payment", "paid", "cancelled", "refunded"])
    total = MoneyOutput()
    credit = MoneyOutput()
    charge = MoneyOutput()
    lines = LineOutput(many=True)
    voucher_code = serializers.CharField(required=False)
    created_at = serializers.DateTimeField()


class StaffOrderOutput(OrderOutput):
    organization = serializers.CharField()


class BalanceOutput(serializers.Serializer[Any]):
    posted = MoneyOutput()
    held = MoneyOutput()
    available = MoneyOutput()


class CheckoutOutput(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    state = serializers.CharField()
    order = OrderOutput(required=False)
    balance = BalanceOutput(required=False, help_text="When the checkout is completed.")
    session_url = serializers.URLField(required=False, help_text="While payment is awaited.")
    voucher = inline_serializer("CheckoutVoucher", {"status": serializers.CharField()}, required=False)


class LedgerEntryOutput(serializers.Serializer[Any]):
    seq = serializers.IntegerField()
    amount = MoneyOutput()
    balance_after = MoneyOutput()
    kind = serializers.CharField()
    order = serializers.CharField(required=False)
    voucher_code = serializers.CharField(required=False)
    created_at = serializers.DateTimeField()


class ItemOutput(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=["plan", "blueprint", "addon"])
    reference = serializers.CharField()
    title = serializers.CharField()
    quantity = serializers.IntegerField()
    unit = MoneyOutput(help_text="A month, VAT included.")


class ScheduledOutput(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=["now", "period_end"])
    state = serializers.ChoiceField(choices=["pending", "scheduled", "applied", "dropped"])
    plan = serializers.CharField()
    monthly = MoneyOutput()
    effective_at = serializers.DateTimeField()
    install = serializers.ListField(child=serializers.CharField(), help_text="Blueprints that come.")
    remove = serializers.ListField(child=serializers.CharField(), help_text="Applications that go, with their data.")


class SubscriptionChangeOutput(serializers.Serializer[Any]):
    """A preview, or `scheduled` alone when the change waits for the end of the period."""

    scheduled = ScheduledOutput(required=False)
    quote = serializers.CharField(required=False, help_text="A hash of what the customer was shown.")
    lines = LineOutput(many=True, required=False)
    total = MoneyOutput(required=False, help_text="Due today.")
    credit = MoneyOutput(required=False)
    charge = MoneyOutput(required=False)
    then_monthly = MoneyOutput(required=False)
    monthly_now = MoneyOutput(required=False)
    kind = serializers.ChoiceField(choices=["now", "period_end"], required=False)
    effective_at = serializers.DateTimeField(required=False)
    plan = serializers.CharField(required=False)
    gained = ItemOutput(many=True, required=False)
    lost = ItemOutput(many=True, required=False)
    install = serializers.ListField(child=serializers.CharField(), required=False)
    remove = serializers.ListField(child=serializers.CharField(), required=False)
    used = serializers.DictField(child=serializers.IntegerField(), required=False)
    capacity = serializers.DictField(child=serializers.IntegerField(), required=False)
    problem = inline_serializer(
        "ChangeProblem",
        {"code": serializers.CharField(), "detail": serializers.CharField()},
        required=False,
        allow_null=True,
    )


class SubscriptionOutput(serializers.Serializer[Any]):
    environment = serializers.CharField()
    plan = serializers.CharField()
    state = serializers.ChoiceField(choices=["active", "past_due", "suspended"])
    collection = serializers.ChoiceField(choices=["credit", "card"])
    period_start = serializers.DateTimeField()
    period_end = serializers.DateTimeField()
    monthly = MoneyOutput()
    order = serializers.CharField()
    items = ItemOutput(many=True)
    cancel_at_period_end = serializers.BooleanField()
    grace_ends_at = serializers.DateTimeField(allow_null=True, help_text="When it is suspended, or ends, if not paid.")
    change = ScheduledOutput(allow_null=True)


class VoucherPreviewOutput(serializers.Serializer[Any]):
    code = serializers.CharField()
    credit = MoneyOutput()
    description = serializers.CharField()
    accepting_redemptions = serializers.BooleanField()


class StaffVoucherOutput(VoucherPreviewOutput):
    active = serializers.BooleanField()
    max_redemptions = serializers.IntegerField(allow_null=True)
    per_organization_limit = serializers.IntegerField()
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)
    times_redeemed = serializers.IntegerField()
    created_at = serializers.DateTimeField()


class RedemptionOutput(serializers.Serializer[Any]):
    organization = serializers.CharField()
    state = serializers.CharField()
    order = serializers.CharField(required=False)
    redeemed_at = serializers.DateTimeField()


class StaffVoucherDetailOutput(StaffVoucherOutput):
    redemptions = RedemptionOutput(many=True)


class SecretOutput(serializers.Serializer[Any]):
    configured = serializers.BooleanField()
    last4 = serializers.CharField()


class BillingSettingsOutput(serializers.Serializer[Any]):
    stripe_secret_key = SecretOutput()
    stripe_webhook_secret = SecretOutput()
    stripe_publishable_key = serializers.CharField(allow_null=True)
    seller_name = serializers.CharField(allow_null=True)
    seller_name_ar = serializers.CharField(allow_null=True)
    seller_address = serializers.CharField(allow_null=True)
    seller_vatin = serializers.CharField(allow_null=True)


class BillingPortalOutput(serializers.Serializer[Any]):
    portal_url = serializers.URLField()


class MonthOutput(serializers.Serializer[Any]):
    month = serializers.CharField(help_text="2026-11, in the Sovereign's time zone.")
    mrr = MoneyOutput(help_text="At the month's end; for the running month, now.")
    subscriptions = serializers.IntegerField()
    started = serializers.IntegerField()
    churned = serializers.IntegerField()
    churn_percent = serializers.FloatField()
    lost_mrr = MoneyOutput()
    billed = MoneyOutput()
    credit = MoneyOutput()
    card = MoneyOutput()
    tax = MoneyOutput()
    refunded = MoneyOutput()


class RevenueReportOutput(serializers.Serializer[Any]):
    sovereign = serializers.CharField()
    currency = serializers.CharField()
    credit_outstanding = MoneyOutput()
    credit_held = MoneyOutput(help_text="The part that open orders have set aside.")
    months = MonthOutput(many=True)
    plans = inline_serializer(
        "PlanRevenue",
        {
            "plan": serializers.CharField(),
            "subscriptions": serializers.IntegerField(),
            "mrr": MoneyOutput(),
            "billed": MoneyOutput(),
            "refunded": MoneyOutput(),
        },
        many=True,
    )
    campaigns = inline_serializer(
        "CampaignCost",
        {
            "campaign": serializers.CharField(),
            "redemptions": serializers.IntegerField(),
            "granted": MoneyOutput(),
        },
        many=True,
    )
