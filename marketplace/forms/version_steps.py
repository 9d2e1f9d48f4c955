"""The form before a step of a version: why, and whether those who run it are in danger."""

from django import forms
from django.utils.translation import gettext_lazy as _

from marketplace.services.blueprint_versions import LONGEST_REASON


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label=_("Reason"),
        max_length=LONGEST_REASON,
        widget=forms.Textarea(attrs={"rows": 3, "dir": "auto"}),
        error_messages={
            "required": _("Write down the reason, in 500 characters at most."),
            "max_length": _("Write down the reason, in 500 characters at most."),
        },
    )


class YankForm(ReasonForm):
    security = forms.BooleanField(label=_("Whoever runs it is in danger: say so to them."), required=False)
