"""What a person types to sign in."""

from django import forms
from django.utils.translation import gettext_lazy as _

from tenancy.models.user import normalize_email


class SignInForm(forms.Form):
    email = forms.EmailField(
        label=_("E-mail address"),
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "email", "dir": "ltr", "autofocus": True}),
        error_messages={
            "required": _("Enter your e-mail address."),
            "invalid": _("Enter an e-mail address like name@example.com."),
        },
    )

    def clean_email(self) -> str:
        return normalize_email(self.cleaned_data["email"])


class SignInCodeForm(forms.Form):
    code = forms.CharField(
        label=_("Code"),
        max_length=20,
        widget=forms.TextInput(
            attrs={"autocomplete": "one-time-code", "inputmode": "numeric", "dir": "ltr", "autofocus": True}
        ),
        error_messages={"required": _("Enter the code from the e-mail.")},
    )
