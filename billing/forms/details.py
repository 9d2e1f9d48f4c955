"""Step 3 of the wizard: add-ons, for which Organization, and what the chosen Blueprints must know."""

import re
from collections.abc import Sequence
from typing import Any

from django import forms
from django.forms import BoundField
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from billing.models import Cart
from billing.selectors.configuration import Setting
from billing.services.carts import CartChange
from catalyst.core.errors import DomainError
from tenancy.models import Organization
from tenancy.services.slugs import check_slug, suggest_slugs

NEW = "new"
_LONGEST_SLUG = 40


class DetailsForm(forms.Form):
    """``organizations`` are those the reader may buy for; without any, or with ``new``, one is founded."""

    addons = forms.MultipleChoiceField(required=False, widget=forms.CheckboxSelectMultiple)
    organization = forms.ChoiceField(required=False, widget=forms.RadioSelect)
    name = forms.CharField(
        label=gettext_lazy("Organization name"),
        max_length=120,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "organization", "dir": "auto"}),
        error_messages={"required": gettext_lazy("Enter the name of your organization.")},
    )
    slug = forms.CharField(
        label=gettext_lazy("Short name in addresses"),
        max_length=_LONGEST_SLUG,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "dir": "ltr", "spellcheck": "false"}),
    )
    email = forms.EmailField(
        label=gettext_lazy("Administrator e-mail"),
        max_length=254,
        required=False,
        widget=forms.EmailInput(attrs={"autocomplete": "email", "dir": "ltr"}),
        error_messages={"invalid": gettext_lazy("Enter an e-mail address like name@example.com.")},
    )

    def __init__(
        self,
        data: Any = None,
        *,
        cart: Cart,
        addons: Sequence[str],
        organizations: Sequence[Organization],
        settings: Sequence[Setting],
    ) -> None:
        super().__init__(data, initial=_initial(cart, organizations, settings))
        self.organizations = {row.slug: row for row in organizations}
        self.settings = settings
        self.fields["name"].required = not organizations
        self._choices("addons", [(slug, slug) for slug in addons])
        self._choices("organization", [(slug, slug) for slug in (*self.organizations, NEW)])
        for setting in settings:
            if setting.kind != "email":
                self.fields[_field_name(setting)] = _field_for(setting, cart)

    @property
    def emails(self) -> list[Setting]:
        return [setting for setting in self.settings if setting.kind == "email"]

    @property
    def questions(self) -> list[BoundField]:
        return [self[_field_name(setting)] for setting in self.settings if setting.kind != "email"]

    @property
    def chosen(self) -> Organization | None:
        """The existing Organization that was chosen, if one was."""
        return self.organizations.get(self.cleaned_data.get("organization") or "")

    @property
    def is_new(self) -> bool:
        """Whether the fields of a new Organization are what the reader filled in."""
        return not self.organizations or self["organization"].value() == NEW

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if self.organizations and not cleaned.get("organization"):
            self.add_error("organization", _("Say for which organization you buy."))
        elif not self.chosen:
            self._clean_new(cleaned)
        return cleaned

    def change(self) -> CartChange:
        """Return what the answers change in the Cart."""
        values = self.cleaned_data
        config: dict[str, dict[str, str]] = {}
        for setting in self.settings:
            value = values["email"] if setting.kind == "email" else values[_field_name(setting)]
            if value not in ("", None):
                config.setdefault(setting.blueprint, {})[setting.key] = value
        is_new = self.chosen is None
        return CartChange(
            addons=values["addons"],
            config=config,
            organization_name=values["name"] if is_new else "",
            organization_slug=values["slug"] if is_new else "",
        )

    def _clean_new(self, cleaned: dict[str, Any]) -> None:
        name = (cleaned.get("name") or "").strip()
        slug = (cleaned.get("slug") or "").strip().lower()
        if not name:
            if "name" not in self.errors:
                self.add_error("name", self.fields["name"].error_messages["required"])
            return
        slug = slug or suggest_slugs(name, limit=1)[0]
        cleaned["slug"] = slug
        problem = slug_problem(slug)
        if problem:
            self.add_error("slug", problem)

    def _choices(self, name: str, choices: list[tuple[str, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices


def slug_problem(slug: str) -> str:
    """Say why no new Organization can have this slug, or nothing. A hint: the insert decides."""
    try:
        check_slug(slug)
    except DomainError as error:
        return error.message
    if Organization.objects.filter(slug=slug).exists():
        return _("Taken. Try %(names)s") % {"names": ", ".join(suggest_slugs(slug))}
    return ""


def _initial(cart: Cart, organizations: Sequence[Organization], settings: Sequence[Setting]) -> dict[str, Any]:
    chosen = NEW if cart.organization_slug else cart.organization.slug if cart.organization else ""
    if not chosen and len(organizations) == 1:
        chosen = organizations[0].slug
    emails = [_answer(cart, setting) for setting in settings if setting.kind == "email"]
    return {
        "addons": cart.addons,
        "organization": chosen,
        "name": cart.organization_name,
        "slug": cart.organization_slug,
        "email": next((email for email in emails if email), ""),
    }


def _answer(cart: Cart, setting: Setting) -> Any:
    return cart.config.get(setting.blueprint, {}).get(setting.key, "")


def _field_name(setting: Setting) -> str:
    return re.sub(r"[^a-z0-9]+", "-", f"config-{setting.blueprint}-{setting.key}".lower())


def _field_for(setting: Setting, cart: Cart) -> forms.Field:
    title = (setting.title_ar if get_language() == "ar" else "") or setting.title_en
    label = f"{setting.app}: {title}"
    given = _answer(cart, setting)
    if setting.choices:
        return forms.ChoiceField(label=label, initial=given, choices=[(each, each) for each in setting.choices])
    if setting.kind == "integer":
        return forms.IntegerField(label=label, initial=given)
    if setting.kind == "boolean":
        return forms.BooleanField(label=label, initial=given, required=False)
    return forms.CharField(label=label, initial=given, max_length=setting.longest)
