"""What a node of a ``configSchema`` is called in the reader's language, and how its values look as text."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

#: Stands for "nobody gave anything here", which is not the same as a value of nothing.
UNSET: Final[Any] = type("Unset", (), {"__repr__": lambda _self: "UNSET", "__bool__": lambda _self: False})()
SIZES: Final = {
    "small": gettext_lazy("Small"),
    "medium": gettext_lazy("Medium"),
    "large": gettext_lazy("Large"),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several: ``text`` is what the browser sends, ``value`` what the configuration gets."""

    value: Any
    text: str
    label: str


def words_of(node: Mapping[str, Any], key: str, language: str) -> str:
    """Return ``title`` or ``description``; English stands in for a translation that is missing."""
    own = node.get("x-catalyst-i18n", {}).get(language, {}).get(key, "") if language != "en" else ""
    return str(own or node.get(key, ""))


def text_of(value: Any) -> str:
    """Return a value as a field shows it and sends it."""
    if value is UNSET or value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def choices_of(node: Mapping[str, Any], language: str) -> list[Choice]:
    """Return what an ``enum`` allows, with the words of the language."""
    said = node.get("x-catalyst-i18n", {}).get(language, {}).get("enum", {}) if language != "en" else {}
    values = list(node["enum"])
    named = dict(zip(map(text_of, values), said, strict=False)) if isinstance(said, list) else said
    return [Choice(value, text_of(value), str(named.get(text_of(value), text_of(value)))) for value in values]


def sizes_of(node: Mapping[str, Any]) -> list[Choice]:
    """Return the sizes that may be chosen, in their order."""
    allowed = node.get("enum", list(SIZES))
    return [Choice(size, size, str(label)) for size, label in SIZES.items() if size in allowed]


def label_of(value: Any, choices: list[Choice]) -> str:
    """Return a value in words, for sentences like "Default: …"."""
    if isinstance(value, bool):
        return _("Yes") if value else _("No")
    if isinstance(value, list):
        return ", ".join(label_of(each, choices) for each in value)
    text = text_of(value)
    return next((choice.label for choice in choices if choice.text == text), text)
