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

#: Longer texts are refused before any pattern runs over them.
MAX_TEXT: Final = 64 * 1024
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


@dataclass(frozen=True, slots=True)
class ValueProblem:
    """``path`` leads to the value, like ``mail.ref``; ``keyword`` is the one of the schema that it breaks."""

    path: str
    keyword: str
    message: str


def check_values(schema: Mapping[str, Any], values: Any) -> list[ValueProblem]:
    """Return everything in ``values`` that breaks a schema of the subset; an empty list means that it fits."""
    if any(len(text) > MAX_TEXT for text in _texts(values)):
        return [ValueProblem("", "maxLength", _("Keep every text below 64 KiB."))]
    validator = Draft202012Validator(_strict(schema), format_checker=_checker)
    return [
        ValueProblem(".".join(map(str, error.absolute_path)), str(error.validator), error.message[:400])
        for error in sorted(validator.iter_errors(values), key=lambda error: list(map(str, error.absolute_path)))
    ]


def _strict(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same schema without our own keywords and closed to unknown properties."""
    if node.get("x-catalyst-ui-hint") == "password":
        return {"type": "object"}
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


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, child in value.items():
            yield str(key)
            yield from _texts(child)
    elif isinstance(value, list):
        for child in value:
            yield from _texts(child)


def _has_format(name: str) -> Any:
    return lambda value: not isinstance(value, str) or _FORMATS[name].fullmatch(value) is not None


for _name in _FORMATS:
    _checker.checks(_name)(_has_format(_name))
