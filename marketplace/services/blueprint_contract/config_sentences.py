"""What is wrong with a value, in a sentence that says what to do: one per keyword of the subset."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from jsonschema.exceptions import ValidationError

_MOST_NAMED: Final = 12
_TYPES: Final = {
    "string": gettext_lazy("Write a text here."),
    "integer": gettext_lazy("Enter a whole number."),
    "number": gettext_lazy("Enter a number."),
    "boolean": gettext_lazy("Choose yes or no (true or false)."),
    "array": gettext_lazy("Write a list here."),
    "object": gettext_lazy("Write a group of settings here."),
}
_FORMATS: Final = {
    "hostname": gettext_lazy("Enter a host name like www.example.com."),
    "email": gettext_lazy("Enter an e-mail address like name@example.com."),
    "uri": gettext_lazy("Enter an address that begins with https:// or http://."),
    "cron": gettext_lazy("Enter a schedule of five fields, like 0 3 * * *."),
    "duration": gettext_lazy("Enter a duration like 90d, 12h, 30m or 45s."),
}


def sentence_of(error: ValidationError) -> str:
    """Return the sentence for one broken keyword, in the active language."""
    keyword, limit = str(error.validator), error.validator_value
    if keyword in _COUNTED:
        return _COUNTED[keyword](limit)
    if keyword in ("enum", "const", "oneOf"):
        choices = choices_of(error)
        return _("Choose one of these: %(choices)s.") % {"choices": choices} if choices else _("Choose another value.")
    if keyword == "unevaluatedProperties":
        return _("Remove %(names)s: there is no such setting here.") % {"names": _unknown(error)}
    words = {"type": _TYPES, "format": _FORMATS}.get(keyword, {}).get(str(limit))
    return str(words) if words else str(_PLAIN.get(keyword, gettext_lazy("Correct this value.")))


def choices_of(error: ValidationError) -> str:
    """Return what could stand there: a list of texts, empty when nothing says so."""
    if error.validator == "oneOf":
        values = [
            node["const"]
            for branch in error.validator_value
            for node in branch.get("properties", {}).values()
            if "const" in node
        ]
    else:
        values = error.validator_value if error.validator == "enum" else [error.validator_value]
    shown = [str(value)[:80] for value in values[:_MOST_NAMED]]
    return ", ".join([*shown, "…"] if len(values) > _MOST_NAMED else shown)


def secret_sentence() -> str:
    """Return what is said of a secret that stands in a configuration as it is."""
    return _("A secret is never written into a configuration. Give its name instead, as secret: mailPassword.")


def find_branch(branches: Sequence[Mapping[str, Any]], values: Mapping[str, Any]) -> int | None:
    """Return the position of the branch of a ``oneOf`` whose constants the values have."""
    for index, branch in enumerate(branches):
        constants = {name: node["const"] for name, node in branch.get("properties", {}).items() if "const" in node}
        if constants and all(name in values and values[name] == value for name, value in constants.items()):
            return index
    return None


def _unknown(error: ValidationError) -> str:
    schema: Any = error.schema
    branches = schema.get("oneOf", ())
    chosen = find_branch(branches, error.instance)
    known = {*schema.get("properties", {}), *(branches[chosen].get("properties", {}) if chosen is not None else ())}
    names = [name for name in error.instance if name not in known]
    return ", ".join(str(name)[:60] for name in sorted(names, key=str)[:_MOST_NAMED])


def _at_least(limit: int) -> str:
    return ngettext("Write at least %(n)d character.", "Write at least %(n)d characters.", limit) % {"n": limit}


def _at_most(limit: int) -> str:
    return ngettext("Write at most %(n)d character.", "Write at most %(n)d characters.", limit) % {"n": limit}


def _items_at_least(limit: int) -> str:
    return ngettext("Give at least %(n)d entry.", "Give at least %(n)d entries.", limit) % {"n": limit}


def _items_at_most(limit: int) -> str:
    return ngettext("Give at most %(n)d entry.", "Give at most %(n)d entries.", limit) % {"n": limit}


_COUNTED: Final[Mapping[str, Callable[[Any], str]]] = {
    "minLength": _at_least,
    "maxLength": _at_most,
    "minItems": _items_at_least,
    "maxItems": _items_at_most,
    "minimum": lambda limit: _("Enter %(limit)s or more.") % {"limit": limit},
    "maximum": lambda limit: _("Enter %(limit)s or less.") % {"limit": limit},
}
_PLAIN: Final = {
    "required": gettext_lazy("Fill this in."),
    "dependentRequired": gettext_lazy("Fill this in too: another setting needs it."),
    "pattern": gettext_lazy("Write this in the form that its description asks for."),
    "uniqueItems": gettext_lazy("Name each entry once."),
}
