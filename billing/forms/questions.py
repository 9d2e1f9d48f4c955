"""What Applications that are bought must be told: one form for each that asks something."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.http import QueryDict
from django.utils.translation import get_language

from catalyst.core.secret_store import has_secret_store
from marketplace.forms.schema_form import SchemaForm
from marketplace.selectors.chosen_settings import ChosenSettings
from marketplace.selectors.form_surroundings import Surroundings


def question_forms(
    apps: Iterable[ChosenSettings], config: Mapping[str, Any], data: QueryDict | None
) -> dict[str, SchemaForm]:
    """Return the forms by the Blueprint's name; ``config`` holds earlier answers, ``data`` what was sent."""
    return {app.name: _form(app, config.get(app.name, {}), data) for app in apps if _asks(app)}


def _asks(app: ChosenSettings) -> bool:
    return bool(app.questions["properties"] or "oneOf" in app.questions)


def _form(app: ChosenSettings, answers: Mapping[str, Any], data: QueryDict | None) -> SchemaForm:
    """Draw what one Application asks. It is not installed yet, so there is nothing around it."""
    given = {name: value for name, value in answers.items() if name not in app.emails}
    return SchemaForm(
        app.questions,
        initial=given,
        language=get_language() or "en",
        around=Surroundings(has_secret_store=has_secret_store()),
        data=data,
        prefix=f"config.{app.name}",
    )
