"""Whom the invoices name, as the Organization enters it."""

from django import forms
from django.utils.translation import gettext_lazy as _

from billing.models import BillingDetails
from billing.services.billing_details import Details


class BillingDetailsForm(forms.Form):
    """All four may be empty. The shape of the VAT number is the service's to judge."""

    name = forms.CharField(
        label=_("Name on the invoice"),
        max_length=120,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "organization", "dir": "auto"}),
    )
    address = forms.CharField(
        label=_("Address"),
        max_length=300,
        required=False,
        widget=forms.Textarea(attrs={"autocomplete": "street-address", "dir": "auto", "rows": 3}),
    )
    vatin = forms.CharField(
        label=_("VAT number"),
        max_length=30,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "dir": "ltr", "spellcheck": "false"}),
    )
    email = forms.EmailField(
        label=_("Billing e-mail"),
        max_length=254,
        required=False,
        widget=forms.EmailInput(attrs={"autocomplete": "email", "dir": "ltr"}),
        error_messages={"invalid": _("Enter an e-mail address like name@example.com.")},
    )

    def details(self) -> Details:
        return Details(**self.cleaned_data)


def initial_details(row: BillingDetails) -> dict[str, str]:
    """Return what the form shows first."""
    return {"name": row.name, "address": row.address, "vatin": row.vatin, "email": row.email}
