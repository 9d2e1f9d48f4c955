"""The keywords of one node of a ``configSchema``: which there are and what may stand in them.

Source: blueprints.md §3 of the design.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from django.utils.translation import gettext as _

from marketplace.services.blueprint_contract.patterns import is_safe_pattern
from marketplace.services.blueprint_contract.reader import Finding

MAX_ENUM: Final = 50
#: A text with a pattern is short, so that matching is fast whatever stands in it.
MAX_MATCHED: Final = 256

_TYPES = frozenset({"object", "string", "integer", "number", "boolean", "array"})
_FORMATS = frozenset({"hostname", "email", "uri", "cron", "duration"})
_HINTS = frozenset({"password", "domain-picker", "application-ref", "textarea", "size-picker"})
_SPECIFIC_HINTS = frozenset({"password", "domain-picker", "size-picker"})
_LONGEST_WORDS: Final = 500

Refuse = Callable[[str, str, str, str], None]


def is_one_of(value: Any, choices: Collection[str]) -> bool:
    return isinstance(value, str) and value in choices


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 1_000_000


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | int | float | bool)


def _is_words(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST_WORDS


def _is_names(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(names, list) and all(isinstance(name, str) for name in names) for names in value.values()
    )


def _is_translation(value: Any) -> bool:
    if not isinstance(value, Mapping) or set(value) != {"ar"} or not isinstance(value["ar"], Mapping):
        return False
    words = value["ar"]
    choices = words.get("enum", {})
    is_choices = isinstance(choices, list | Mapping) and len(choices) <= MAX_ENUM
    return set(words) <= {"title", "description", "enum"} and is_choices


def _is_filter(value: Any) -> bool:
    return isinstance(value, Mapping) and set(value) <= {"blueprint", "environment"} and all(map(_is_words, value))


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


_SHAPES: Final[Mapping[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(("title", "description"), _is_words),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "x-catalyst-order"), _is_count),
    **dict.fromkeys(("minimum", "maximum"), _is_number),
    **dict.fromkeys(("uniqueItems", "x-catalyst-advanced", "x-catalyst-env-specific"), _is_flag),
    **dict.fromkeys(("x-catalyst-immutable", "x-catalyst-restart"), _is_flag),
    "const": _is_scalar,
    "dependentRequired": _is_names,
    "x-catalyst-i18n": _is_translation,
    "x-catalyst-ui-filter": _is_filter,
}
#: Every keyword of the subset.
KEPT: Final = frozenset({*_SHAPES, *("type", "properties", "required", "default", "enum", "format", "pattern")}) | {
    *("items", "oneOf", "x-catalyst-ui-hint"),
}


class WordsChecker:
    """Appends findings about the keywords of one node; the tree is walked by somebody else."""

    def __init__(self, findings: list[Finding]) -> None:
        self._findings = findings

    def refuse(self, rule: str, path: str, problem: str, fix: str) -> None:
        self._findings.append(Finding(rule, path, problem, fix))

    def check(self, node: dict[str, Any], path: str) -> None:
        for key in sorted(set(node) - KEPT):
            fix = _("Only the keywords of the configuration subset are kept.")
            self.refuse("BP-S01", f"{path}.{key}", _("This keyword is refused."), fix)
        for key in sorted(set(node) & set(_SHAPES)):
            if not _SHAPES[key](node[key]):
                fix = _("docs/blueprints.md shows what each keyword holds.")
                self.refuse("BP-S01", f"{path}.{key}", _("This keyword has a value that it cannot have."), fix)
        self._check_type(node, path)
        self._check_enum(node, path)
        self._check_hint(node, path)
        self._check_pattern(node, path)

    def _check_type(self, node: dict[str, Any], path: str) -> None:
        if "const" not in node and not is_one_of(node.get("type"), _TYPES):
            fix = _("Choose one of %(types)s; lists of types are refused.") % {"types": ", ".join(sorted(_TYPES))}
            self.refuse("BP-S01", f"{path}.type", _("This type is refused."), fix)
        if "format" in node and not is_one_of(node["format"], _FORMATS):
            fix = _("Choose one of %(formats)s.") % {"formats": ", ".join(sorted(_FORMATS))}
            self.refuse("BP-S01", f"{path}.format", _("This format is refused."), fix)

    def _check_enum(self, node: dict[str, Any], path: str) -> None:
        if "enum" not in node:
            return
        values = node["enum"]
        is_list = isinstance(values, list) and 0 < len(values) <= MAX_ENUM and all(map(_is_scalar, values))
        if not is_list or len({(type(value), value) for value in values}) != len(values):
            self.refuse("BP-S01", f"{path}.enum", _("A list of 1 to 50 values is expected."), _("Shorten it."))

    def _check_hint(self, node: dict[str, Any], path: str) -> None:
        hint = node.get("x-catalyst-ui-hint")
        if hint is not None and not is_one_of(hint, _HINTS):
            fix = _("Choose one of %(hints)s.") % {"hints": ", ".join(sorted(_HINTS))}
            self.refuse("BP-S01", f"{path}.x-catalyst-ui-hint", _("This hint is unknown."), fix)
        elif hint is not None and node.get("type") != "string":
            fix = _("Write type: string.")
            self.refuse("BP-S01", f"{path}.x-catalyst-ui-hint", _("A hint stands on a text only."), fix)
        if ("x-catalyst-ui-filter" in node) != (hint == "application-ref"):
            fix = _("Give application-ref a filter, and nothing else.")
            self.refuse("BP-S01", path, _("The filter and the hint do not belong together."), fix)
        is_host = is_one_of(hint, _SPECIFIC_HINTS) or node.get("format") == "hostname"
        if is_host and node.get("x-catalyst-env-specific") is not True:
            fix = _("Add x-catalyst-env-specific: true.")
            self.refuse("BP-S05", path, _("Hosts, sizes and secrets stay in their Environment."), fix)
        if hint == "password" and "default" in node:
            self.refuse("BP-S04", f"{path}.default", _("A secret has no default."), _("Remove the default."))

    def _check_pattern(self, node: dict[str, Any], path: str) -> None:
        if "pattern" not in node:
            return
        pattern, place = node["pattern"], f"{path}.pattern"
        if not isinstance(pattern, str) or not is_safe_pattern(pattern):
            fix = _("At most 128 characters and two repeats, no look-around, back-references or nested quantifiers.")
            self.refuse("BP-S01", place, _("This pattern is refused."), fix)
        longest = node.get("maxLength")
        if not isinstance(longest, int) or not _is_count(longest) or longest > MAX_MATCHED:
            fix = _("Add maxLength, %(limit)d at most.") % {"limit": MAX_MATCHED}
            self.refuse("BP-S01", place, _("A text with a pattern has a length."), fix)
