"""Step 3 of the wizard: add-ons, for which Organization, and what the chosen Blueprints must know."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from billing.forms.questions import question_forms
from billing.models import Cart
from billing.services.carts import CartChange
from catalyst.core.errors import DomainError
from marketplace.forms.schema_form import JoinedForms, SchemaForm
from marketplace.selectors.chosen_settings import ChosenSettings
from marketplace.services.typed_secrets import with_handles
from tenancy.models import Organization
from tenancy.services.slugs import check_slug, suggest_slugs

NEW = "new"
_LONGEST_SLUG = 40


class DetailsForm(forms.Form):
    """``organizations`` are those the reader may buy for; without any, or with ``new``, one is founded.

    ``schemas`` has a form of its own for each chosen Blueprint that asks something.
    """

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
        apps: Sequence[ChosenSettings],
    ) -> None:
        super().__init__(data, initial=_initial(cart, organizations, apps))
        self.organizations = {row.slug: row for row in organizations}
        self.apps = apps
        sent = data if isinstance(data, QueryDict) else None
        self.schemas = question_forms(apps, cart.config, sent)
        self.fields["name"].required = not organizations
        self._choices("addons", [(slug, slug) for slug in addons])
        self._choices("organization", [(slug, slug) for slug in (*self.organizations, NEW)])

    @property
    def emails(self) -> list[ChosenSettings]:
        """The Applications whose first account wants an e-mail address."""
        return [app for app in self.apps if app.emails]

    @property
    def questions(self) -> list[tuple[str, SchemaForm]]:
        """Each Application that asks something, by its title."""
        return [(app.title, self.schemas[app.name]) for app in self.apps if app.name in self.schemas]

    @property
    def summary(self) -> JoinedForms:
        """Everything that is wrong on the page."""
        return JoinedForms(self, *self.schemas.values())

    def is_valid(self) -> bool:
        return super().is_valid() and all(form.is_valid() for form in self.schemas.values())

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

    @property
    def typed_secrets(self) -> dict[str, dict[str, str]]:
        """What was typed into fields of secrets, by Blueprint and setting: for the service that seals it."""
        return {name: form.secrets for name, form in self.schemas.items() if form.secrets}

    def change(self, handles: Mapping[str, Mapping[str, str]]) -> CartChange:
        """Return what the answers change in the Cart; ``handles`` stand there for the secrets that were typed."""
        values = self.cleaned_data
        config: dict[str, dict[str, Any]] = {
            name: with_handles(form.values, handles.get(name, {})) for name, form in self.schemas.items()
        }
        for app in self.emails if values["email"] else ():
            config[app.name] = {**config.get(app.name, {}), **dict.fromkeys(app.emails, values["email"])}
        is_new = self.chosen is None
        return CartChange(
            addons=values["addons"],
            config={name: given for name, given in config.items() if given},
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
    if Organization.objects.filter(slug=slug, released_at=None).exists():
        return _("Taken. Try %(names)s") % {"names": ", ".join(suggest_slugs(slug))}
    return ""


def _initial(cart: Cart, organizations: Sequence[Organization], apps: Sequence[ChosenSettings]) -> dict[str, Any]:
    chosen = NEW if cart.organization_slug else cart.organization.slug if cart.organization else ""
    if not chosen and len(organizations) == 1:
        chosen = organizations[0].slug
    emails = [cart.config.get(app.name, {}).get(key, "") for app in apps for key in app.emails]
    return {
        "addons": cart.addons,
        "organization": chosen,
        "name": cart.organization_name,
        "slug": cart.organization_slug,
        "email": next((email for email in emails if email), ""),
    }
