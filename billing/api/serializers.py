"""Shapes of what the money endpoints take."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from billing.selectors.reports import MOST_MONTHS
from catalyst.core import names
from catalyst.core.http.serializers import StrictSerializer
from catalyst.core.money import EXPONENTS

_MOST_PARTS = 100
_TOLD = "What the Applications are told, by the Blueprint's name. A required e-mail address may be left out."


class _Part(serializers.CharField):
    """A slug or name: no longer than the catalogue's own columns."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=48, **kwargs)


class ReportInput(StrictSerializer):
    """The parameters of the report, as they stand in its address."""

    months = serializers.IntegerField(
        min_value=1, max_value=MOST_MONTHS, default=12, error_messages={"invalid": _("Give a whole number of months.")}
    )


class _Config(serializers.DictField):
    """Settings by the Blueprint's name; what may stand in them is decided by its schema."""

    child = serializers.DictField()


class QuoteInput(StrictSerializer):
    plan = _Part()
    blueprints = serializers.ListField(child=_Part(), max_length=_MOST_PARTS, default=list)
    addons = serializers.ListField(child=_Part(), max_length=_MOST_PARTS, default=list)
    bundle = _Part(default="", allow_blank=True)
    voucher_code = serializers.CharField(default="", allow_blank=True)
    config = _Config(default=dict, help_text=_TOLD)


class CheckoutInput(QuoteInput):
    quote = serializers.CharField(default="", allow_blank=True, max_length=64, help_text="The hash that was accepted.")
    environment = serializers.ChoiceField(choices=names.ENVIRONMENT_TYPES, default="prod")


class AddInput(StrictSerializer):
    blueprints = serializers.ListField(child=_Part(), max_length=_MOST_PARTS, default=list)
    addons = serializers.ListField(child=_Part(), max_length=_MOST_PARTS, default=list)
    config = _Config(default=dict, help_text=_TOLD)


class RemoveInput(StrictSerializer):
    applications = serializers.ListField(child=_Part(), max_length=_MOST_PARTS, default=list)
    addons = serializers.ListField(child=_Part(), max_length=_MOST_PARTS, default=list)


class ChangeInput(StrictSerializer):
    """What is left out stays as it is."""

    plan = _Part(default="", allow_blank=True)
    add = AddInput(default=lambda: {"blueprints": [], "addons": [], "config": {}})
    remove = RemoveInput(default=lambda: {"applications": [], "addons": []})
    voucher_code = serializers.CharField(default="", allow_blank=True)
    quote = serializers.CharField(default="", allow_blank=True, max_length=64, help_text="The hash that was accepted.")
    preview = serializers.BooleanField(default=False)


class VoucherCodeInput(StrictSerializer):
    code = serializers.CharField()


class MoneyInput(StrictSerializer):
    amount = serializers.IntegerField(min_value=1, max_value=10**12, help_text="Minor units of the currency.")
    currency = serializers.ChoiceField(choices=sorted(EXPONENTS))


class IssueVoucherInput(StrictSerializer):
    code = serializers.CharField(default="", allow_blank=True, help_text="Left out: one is generated.")
    credit = MoneyInput()
    description = serializers.CharField(default="", allow_blank=True, max_length=200)
    max_redemptions = serializers.IntegerField(default=None, allow_null=True, min_value=1, max_value=10**6)
    per_organization_limit = serializers.IntegerField(default=1, min_value=1, max_value=1000)
    starts_at = serializers.DateTimeField(default=None, allow_null=True)
    ends_at = serializers.DateTimeField(default=None, allow_null=True)


class BillingSettingsInput(StrictSerializer):
    """What is left out stays, null clears, a blank text is refused."""

    stripe_secret_key = serializers.CharField(required=False, allow_null=True, max_length=300)
    stripe_webhook_secret = serializers.CharField(required=False, allow_null=True, max_length=300)
    stripe_publishable_key = serializers.CharField(required=False, allow_null=True, max_length=300)
    seller_name = serializers.CharField(required=False, allow_null=True, max_length=120)
    seller_name_ar = serializers.CharField(required=False, allow_null=True, max_length=120)
    seller_address = serializers.CharField(required=False, allow_null=True, max_length=300)
    seller_vatin = serializers.CharField(required=False, allow_null=True, max_length=30)


class BillingDetailsInput(StrictSerializer):
    """What is left out becomes empty: invoices then take it from the Organization."""

    name = serializers.CharField(default="", allow_blank=True, max_length=120)
    address = serializers.CharField(default="", allow_blank=True, max_length=300)
    vatin = serializers.CharField(default="", allow_blank=True, max_length=30)
    email = serializers.EmailField(default="", allow_blank=True, max_length=254)
