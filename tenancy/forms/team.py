"""Who is invited, as what, where and until when; the same terms for a member who is there."""

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import Any, Final

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from catalyst.core import names
from catalyst.core.errors import DomainError
from tenancy.models import Membership
from tenancy.models.user import normalize_email

#: The names of Environment types as people read them.
ENVIRONMENT_TITLES: Final = {
    "prod": _("Production"),
    "stg": _("Staging"),
    "uat": _("Acceptance"),
    "dev": _("Development"),
    "poc": _("Trial"),
}


class TermsForm(forms.Form):
    """Role, Environments and end of a membership. What cannot be is refused by the service."""

    use_required_attribute = False
    #: Where a refusal of the service belongs.
    places: Mapping[str, str] = {"/role": "role", "/env_types": "env_types", "/expires_at": "last_day"}

    role = forms.ChoiceField(label=_("Role"), choices=Membership.Role.choices, initial=Membership.Role.VIEWER)
    env_types = forms.MultipleChoiceField(
        label=_("Only in these Environments"),
        required=False,
        choices=[(key, ENVIRONMENT_TITLES.get(key, key)) for key in names.ENVIRONMENT_TYPES],
        widget=forms.CheckboxSelectMultiple,
    )
    last_day = forms.DateField(
        label=_("Last day"),
        required=False,
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date", "dir": "ltr"}),
        input_formats=["%Y-%m-%d"],
        error_messages={"invalid": _("Enter a day like 2027-01-31.")},
    )

    def terms(self) -> dict[str, Any]:
        """Return role, Environments (None: all) and end (None: none) as the services take them."""
        return {
            "role": self.cleaned_data["role"],
            "env_types": self.cleaned_data["env_types"] or None,
            "expires_at": end_of(self.cleaned_data["last_day"]),
        }

    def add_refusal(self, error: DomainError) -> None:
        """Show what the service refused, at its field where it names one."""
        self.add_error(self.places.get(error.pointer), error.message)


class InviteForm(TermsForm):
    places = {**TermsForm.places, "/email": "email"}

    field_order = ("email", "role", "env_types", "last_day")
    email = forms.EmailField(
        label=_("E-mail address"),
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "off", "dir": "ltr"}),
        error_messages={
            "required": _("Enter the e-mail address of whoever is to join."),
            "invalid": _("Enter an e-mail address like name@example.com."),
        },
    )

    def clean_email(self) -> str:
        return normalize_email(self.cleaned_data["email"])


def terms_of(membership: Membership) -> dict[str, Any]:
    """Return what the form shows first for a member who is there."""
    end = membership.expires_at
    return {
        "role": membership.role,
        "env_types": membership.env_types or [],
        "last_day": timezone.localtime(end - timedelta(seconds=1)).date() if end else None,
    }


def end_of(day: Any) -> datetime | None:
    """Return the moment at which a last day is over, in the site's time zone; None for none."""
    return timezone.make_aware(datetime.combine(day + timedelta(days=1), time.min)) if day else None
