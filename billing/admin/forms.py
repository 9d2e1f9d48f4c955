"""What the staff enter: a new Voucher, and the processor's keys."""

from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from billing.models import BillingSettings
from billing.services.settings import PUBLIC, SECRETS, SELLER
from billing.services.vouchers import VoucherTerms
from catalyst.core.money import InvalidAmount, parse_amount

_LABELS = {
    "stripe_secret_key": _("Secret key"),
    "stripe_webhook_secret": _("Webhook secret"),
    "stripe_publishable_key": _("Publishable key"),
    "seller_name": _("Seller on invoices"),
    "seller_name_ar": _("Seller in Arabic"),
    "seller_address": _("Seller's address"),
    "seller_vatin": _("Seller's VAT number"),
}


class AmountField(forms.CharField):
    """An amount in the one currency of its form, as a person writes it: ``12.500``. Its value is a ``Money``."""

    currency = ""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(help_text=_("For example 12.500"), **kwargs)

    def clean(self, value: Any) -> Any:
        try:
            return parse_amount(super().clean(value), self.currency)
        except InvalidAmount as error:
            raise forms.ValidationError(error.message) from None


class MoneyForm(forms.Form):
    """A form whose amounts are in ``currency``."""

    def __init__(self, *args: Any, currency: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            if isinstance(field, AmountField):
                field.currency = currency


class _Moment(forms.DateTimeInput):
    input_type = "datetime-local"


class IssueVoucherForm(MoneyForm):
    credit = AmountField(label=_("Credit"))
    code = forms.CharField(
        label=_("Code"),
        required=False,
        help_text=_(
            "Leave empty to have one generated. A code that you choose is easy to guess: give it a cap and an end."
        ),
    )
    description = forms.CharField(label=_("Description"), max_length=200, required=False)
    campaign = forms.CharField(label=_("Campaign"), max_length=60, required=False)
    max_redemptions = forms.IntegerField(
        label=_("Uses in all"), min_value=1, max_value=10**6, required=False, help_text=_("Empty: no limit.")
    )
    per_organization_limit = forms.IntegerField(
        label=_("Uses per Organization"), min_value=1, max_value=1000, initial=1
    )
    starts_at = forms.DateTimeField(label=_("Starts"), required=False, widget=_Moment, help_text=_("Empty: now."))
    ends_at = forms.DateTimeField(label=_("Ends"), required=False, widget=_Moment, help_text=_("Empty: never."))

    def terms(self) -> VoucherTerms:
        return VoucherTerms(**self.cleaned_data)


class BillingSettingsForm(forms.Form):
    """One field and one "clear" box per key, where an empty field changes nothing; and the seller as it is now."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in (*SECRETS, *PUBLIC):
            widget = forms.PasswordInput(attrs={"autocomplete": "off"}) if name in SECRETS else forms.TextInput()
            self.fields[name] = forms.CharField(
                label=_LABELS[name], required=False, max_length=300, widget=widget, help_text=_("Empty: unchanged.")
            )
            self.fields[_clear(name)] = forms.BooleanField(label=_("Clear"), required=False)
        self._seller = BillingSettings.objects.filter(pk=1).values(*SELLER).first() or dict.fromkeys(SELLER, "")
        for name, longest in SELLER.items():
            self.fields[name] = forms.CharField(
                label=_LABELS[name],
                required=False,
                max_length=longest,
                initial=self._seller[name],
                widget=forms.Textarea(attrs={"rows": 3}) if name == "seller_address" else forms.TextInput(),
            )

    def clean(self) -> dict[str, Any]:
        for name in (*SECRETS, *PUBLIC):
            if self.cleaned_data.get(name) and self.cleaned_data.get(_clear(name)):
                self.add_error(name, gettext("Enter a new key or clear the stored one, not both."))
        return self.cleaned_data

    def changes(self) -> dict[str, str | None]:
        """Return only what the person asked to change."""
        changes: dict[str, str | None] = {}
        for name in (*SECRETS, *PUBLIC):
            if self.cleaned_data[_clear(name)]:
                changes[name] = None
            elif self.cleaned_data[name]:
                changes[name] = self.cleaned_data[name]
        for name in SELLER:
            if self.cleaned_data[name] != self._seller[name]:
                changes[name] = self.cleaned_data[name] or None
        return changes


def _clear(name: str) -> str:
    return f"clear_{name}"
