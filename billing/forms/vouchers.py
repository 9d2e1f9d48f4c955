"""The code of a Voucher as a person types it."""

from django import forms
from django.utils.translation import gettext_lazy as _


class VoucherForm(forms.Form):
    code = forms.CharField(
        label=_("Voucher code"),
        max_length=200,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "characters", "dir": "ltr"}),
        error_messages={
            "required": _("Enter your voucher code"),
            "max_length": _("We can't find this code"),
        },
    )
