"""Whether a configuration fits its ``configSchema``: one judgment for forms, the API, Git and the linter.

Unknown properties are refused everywhere, on the chosen branch of a ``oneOf`` too. A secret is a reference (a mapping):
its text is never in a configuration.

Source: blueprints.md §3 of the design.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext as _
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError

from marketplace.services.blueprint_contract.config_sentences import find_branch, secret_sentence, sentence_of

#: Longer texts are refused before any pattern runs over them.
MAX_TEXT: Final = 64 * 1024
_CONTROL: Final = re.compile(r"[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_FIELD = r"(?:\*|[0-9]{1,2})(?:-[0-9]{1,2})?(?:/[0-9]{1,2})?"
_CRON_PART = rf"{_FIELD}(?:,{_FIELD}){{0,59}}"
_FORMATS: Final = {
    "hostname": re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*"),
    "email": re.compile(r"[^@\s\x00-\x1f]{1,64}@[A-Za-z0-9.-]{1,253}"),
    "uri": re.compile(r"https?://[^\s\x00-\x1f<>\"]{1,2000}"),
    "cron": re.compile(rf"{_CRON_PART}(?: {_CRON_PART}){{4}}"),
    "duration": re.compile(r"[1-9][0-9]{0,6}(?:s|m|h|d)"),
}
_checker = FormatChecker(formats=())


#: A reference to a secret: its name in the secret store, and where one has several values which of them.
_NAME: Final = {"type": "string", "pattern": r"^[A-Za-z][A-Za-z0-9._-]{0,62}$"}
_REFERENCE: Final = {
    "type": "object",
    "properties": {"secret": _NAME, "key": _NAME},
    "required": ["secret"],
    "unevaluatedProperties": False,
    "x-secret": True,
}


@dataclass(frozen=True, slots=True)
class ValueProblem:
    """``path`` leads to the value that breaks ``keyword`` of the schema, like ``mail``.

    ``place`` leads to where it is mended: to the setting that is missing, like ``mail.ref``.
    """

    path: str
    keyword: str
    message: str
    place: str


def check_values(schema: Mapping[str, Any], values: Any) -> list[ValueProblem]:
    """Return everything in ``values`` that breaks a schema of the subset; an empty list means that it fits.

    Each message is a sentence in the active language. Of a ``oneOf`` the branch that was chosen is judged.
    """
    if unwritable := list(_unwritable(values, ())):
        return unwritable
    validator = Draft202012Validator(_strict(schema), format_checker=_checker)
    found = [problem for error in validator.iter_errors(values) for problem in _problems(error)]
    return sorted(dict.fromkeys(found), key=lambda each: (each.place.split("."), each.keyword))


def _problems(error: ValidationError) -> Iterator[ValueProblem]:
    path = [str(part) for part in error.absolute_path]
    keyword = str(error.validator)
    if keyword == "oneOf":
        if not isinstance(error.instance, Mapping):
            return
        chosen = find_branch(error.validator_value, error.instance)
        inside = [child for child in error.context or () if child.relative_schema_path[0] == chosen]
        for child in inside:
            yield from _problems(child)
        if inside:
            return
    if keyword == "unevaluatedProperties" and _is_shadow(error):
        return
    is_secret = isinstance(error.schema, Mapping) and "x-secret" in error.schema
    message = secret_sentence() if is_secret else sentence_of(error)
    for missing in _missing(error) or [""]:
        place = [*path, missing] if missing else path
        yield ValueProblem(".".join(path), keyword, message, ".".join(place))


def _missing(error: ValidationError) -> list[str]:
    """Return the settings that somebody forgot."""
    if error.validator == "required":
        return [name for name in error.validator_value if name not in error.instance]
    if error.validator == "dependentRequired":
        needed = [name for key, names in error.validator_value.items() if key in error.instance for name in names]
        return [name for name in dict.fromkeys(needed) if name not in error.instance]
    return []


def _is_shadow(error: ValidationError) -> bool:
    """Tell whether settings only seem unknown because a branch that knows them does not fit: that is said already."""
    known = set(error.schema.get("properties", {}))
    for branch in error.schema.get("oneOf", ()):
        known |= set(branch.get("properties", {}))
    return set(error.instance) <= known and not _fits_a_branch(error)


def _fits_a_branch(error: ValidationError) -> bool:
    branches = error.schema.get("oneOf", ())
    return any(Draft202012Validator(each, format_checker=_checker).is_valid(error.instance) for each in branches)


def _strict(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same schema without our own keywords and closed to unknown properties."""
    if node.get("x-catalyst-ui-hint") == "password":
        return dict(_REFERENCE)
    strict = {key: value for key, value in node.items() if not key.startswith("x-") and key != "default"}
    if "properties" in node:
        strict["properties"] = {name: _strict(child) for name, child in node["properties"].items()}
    if "oneOf" in node:
        strict["oneOf"] = [_strict({**branch, "type": "branch"}) for branch in node["oneOf"]]
    if strict.get("type") == "branch":
        del strict["type"]
    elif strict.get("type") == "object":
        strict["unevaluatedProperties"] = False
    return strict


def _unwritable(value: Any, path: tuple[str, ...]) -> Iterator[ValueProblem]:
    """Yield what could be stored, but neither be written into Git nor be handed to an Application."""
    place = ".".join(path)
    if isinstance(value, str) and len(value) > MAX_TEXT:
        yield ValueProblem(place, "maxLength", _("Keep every text below 64 KiB."), place)
    elif isinstance(value, str) and _CONTROL.search(value):
        yield ValueProblem(place, "pattern", _("Remove the characters that cannot be shown."), place)
    elif isinstance(value, float):
        yield ValueProblem(place, "type", _("Enter a whole number, without a fraction."), place)
    elif isinstance(value, Mapping):
        for key, child in value.items():
            yield from _unwritable(key, path)
            yield from _unwritable(child, (*path, str(key)))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _unwritable(child, (*path, str(index)))


def _has_format(name: str) -> Any:
    return lambda value: not isinstance(value, str) or _FORMATS[name].fullmatch(value) is not None


for _name in _FORMATS:
    _checker.checks(_name)(_has_format(_name))
