"""Install one more Application in the console: by name, with a version if one is wanted; the preview says the rest."""

from http import HTTPStatus
from typing import Any

from django import forms
from django.http import HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from billing.views.asked_changes import ask_for_change, reason_of
from billing.views.environment_door import EnvironmentVisit, of_environment
from billing.views.environments import TYPES
from billing.views.panels import load_panels
from catalyst.core import names
from catalyst.core.errors import DomainError
from marketplace.forms.schema_words import SIZES
from marketplace.selectors.capacity import capacity_of
from marketplace.selectors.catalogue import BlueprintCard, list_cards
from marketplace.services.planner_request import ChangeRequest, Install
from tenancy.selectors.sovereign import get_sovereign


class InstallForm(forms.Form):
    """What to install, and as what."""

    blueprint = forms.ChoiceField(label=gettext_lazy("Application"))
    name = forms.RegexField(
        names.APPLICATION,
        label=gettext_lazy("Name"),
        required=False,
        max_length=40,
        error_messages={"invalid": gettext_lazy("Use lower case letters, digits and hyphens, a letter first.")},
        widget=forms.TextInput(attrs={"dir": "ltr", "autocomplete": "off", "spellcheck": "false"}),
    )
    version = forms.CharField(
        label=gettext_lazy("Version or range"),
        required=False,
        max_length=120,
        widget=forms.TextInput(attrs={"dir": "ltr", "autocomplete": "off", "spellcheck": "false"}),
    )
    size = forms.ChoiceField(label=gettext_lazy("Size"), choices=list(SIZES.items()), initial="small")
    reason = forms.CharField(
        label=gettext_lazy("Why?"),
        required=False,
        max_length=500,
        widget=forms.TextInput(attrs={"dir": "auto", "autocomplete": "off"}),
    )

    def __init__(self, *args: Any, cards: list[BlueprintCard], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [("", "—"), *((card.name, card.title) for card in cards)]
        self.fields["blueprint"].choices = choices  # type: ignore[attr-defined]


@require_http_methods(["GET", "HEAD", "POST"])
@of_environment("change.preview")
def install(visit: EnvironmentVisit) -> HttpResponse:
    """Ask what to install; it becomes a preview, or comes back with what is wrong."""
    panels = load_panels({"cards": lambda: _cards(visit), "has_plan": lambda: bool(capacity_of(visit.environment))})
    if panels["broken"]:
        return visit.show("environments_install", HTTPStatus.SERVICE_UNAVAILABLE, **panels)
    if visit.request.method != "POST":
        initial = {"blueprint": visit.request.GET.get("blueprint", "")[:60], "size": "small"}
        return _show(visit, InstallForm(cards=panels["cards"], initial=initial), panels)
    form = InstallForm(visit.request.POST, cards=panels["cards"])
    if not form.is_valid():
        return _show(visit, form, panels, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    data = form.cleaned_data
    wanted = Install(blueprint=data["blueprint"], version=data["version"], name=data["name"], size=data["size"])
    try:
        asked = ChangeRequest(install=(wanted,))
        return ask_for_change(visit.request, visit.environment, asked, reason=reason_of(visit.request))
    except DomainError as error:
        return _show(visit, form, panels, refusal=error, status=error.status)


def _cards(visit: EnvironmentVisit) -> list[BlueprintCard]:
    currency = str(get_sovereign().currency_id)
    cards = list_cards(visit.organization, currency=currency, at=timezone.now())
    return sorted((card for card in cards if card.is_installable), key=lambda card: card.title)


def _show(
    visit: EnvironmentVisit,
    form: InstallForm,
    panels: dict[str, Any],
    *,
    refusal: DomainError | None = None,
    status: int = HTTPStatus.OK,
) -> HttpResponse:
    title = TYPES[visit.environment.env_type]
    return visit.show("environments_install", status, **panels, form=form, title=title, refusal=refusal)
