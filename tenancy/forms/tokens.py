"""What a new token is for, in words; each group of rights stands for permissions of the table."""

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from django import forms
from django.utils.translation import gettext_lazy as _

from catalyst.core.errors import DomainError
from tenancy.forms.team import ENVIRONMENT_TITLES

PERSONAL: Final = "personal"
ORGANIZATION: Final = "organization"
_GROUPS: Final[dict[str, tuple[Any, tuple[str, ...]]]] = {
    "read": (
        _("Read the organization, its applications, changes and jobs"),
        ("organization.view", "member.view", "environment.view", "application.view", "job.view", "domain.view"),
    ),
    "change": (_("Preview and apply changes"), ("change.preview", "change.apply", "change.retry")),
    "environments": (_("Create and delete Environments"), ("environment.create", "environment.delete")),
    "secrets": (_("Write and rotate secrets"), ("secret.write", "secret.rotate")),
    "fetch": (_("Fetch with Git"), ("git.read",)),
    "push": (_("Push with Git"), ("git.push",)),
    "publish": (_("Publish Blueprints"), ("blueprint.publish",)),
    "money": (_("Read orders, invoices and the balance"), ("billing.view",)),
    "buy": (
        _("Order, change plans and use vouchers"),
        ("checkout.create", "voucher.redeem", "subscription.change", "billing.edit"),
    ),
    "audit": (_("Read and export the audit trail"), ("audit.view", "audit.export")),
}
_DAYS: Final = (("30", _("30 days")), ("90", _("90 days")), ("365", _("365 days")))


def describe_scopes(scopes: Iterable[str]) -> list[Any]:
    """Return a token's rights in words: whole groups by their title, the rest by name; nothing when it has no limit."""
    left, words = set(scopes), []
    for title, permissions in _GROUPS.values():
        if left.issuperset(permissions):
            words.append(title)
            left -= set(permissions)
    return [*words, *sorted(left)]


class TokenForm(forms.Form):
    """Offers only what the person may do here; ``everything`` is no limit at all."""

    use_required_attribute = False

    key = forms.UUIDField(widget=forms.HiddenInput)
    name = forms.CharField(
        label=_("Name"),
        max_length=80,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        error_messages={"required": _("Give the token a name that says what uses it.")},
    )
    reach = forms.ChoiceField(
        label=_("Whose token"), choices=[(PERSONAL, _("Yours: it acts as you, wherever you may"))]
    )
    everything = forms.BooleanField(label=_("Everything that you may do, now and later"), required=False)
    groups = forms.MultipleChoiceField(label=_("Or only this"), required=False, widget=forms.CheckboxSelectMultiple)
    env_type = forms.ChoiceField(label=_("Environment"), required=False)
    days = forms.ChoiceField(label=_("Ends after"), choices=_DAYS, initial="90")

    def __init__(self, data: Any = None, *, permissions: frozenset[str], makes_shared: bool) -> None:
        super().__init__(data, initial={"key": uuid.uuid4()})
        offered = [(key, title) for key, (title, names) in _GROUPS.items() if permissions.issuperset(names)]
        self.fields["groups"].choices = offered  # type: ignore[attr-defined]  # a choice field, as declared above
        everywhere = ("", _("All that you may see"))
        self.fields["env_type"].choices = [everywhere, *ENVIRONMENT_TITLES.items()]  # type: ignore[attr-defined]
        if makes_shared:
            shared = (ORGANIZATION, _("The organization's: it acts only here, and every administrator sees it"))
            self.fields["reach"].choices = [shared, *self.fields["reach"].choices]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if bool(cleaned.get("everything")) == bool(cleaned.get("groups")) and "groups" not in self.errors:
            self.add_error("groups", _("Choose what the token may do: everything, or only some of it."))
        return cleaned

    def asked(self, *, now: datetime) -> dict[str, Any]:
        """Return what ``create_token`` takes besides the owner and the Organization."""
        chosen = self.cleaned_data
        return {
            "key": chosen["key"],
            "name": chosen["name"],
            "scopes": [scope for group in chosen["groups"] for scope in _GROUPS[group][1]],
            "env_type": chosen["env_type"],
            "expires_at": now + timedelta(days=int(chosen["days"])),
        }

    def add_refusal(self, error: DomainError) -> None:
        """Show what the service refused, at its field where it names one."""
        self.add_error(
            {"/name": "name", "/scopes": "groups", "/env_type": "env_type"}.get(error.pointer), error.message
        )
