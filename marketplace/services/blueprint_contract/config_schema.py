"""The closed subset of JSON Schema that a configuration form can draw.

Source: blueprints.md §3 of the design.
"""

import json
import re
from collections.abc import Collection
from typing import Any

from django.utils.translation import gettext as _
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, UnknownType

from marketplace.services.blueprint_contract.reader import Finding

MAX_DEPTH = 3
MAX_PROPERTIES = 60
MAX_ENUM = 50
MAX_PATTERN = 128
MAX_BYTES = 32 * 1024

_TYPES = frozenset({"object", "string", "integer", "number", "boolean", "array"})
_FORMATS = frozenset({"hostname", "email", "uri", "cron", "duration"})
_HINTS = frozenset({"password", "domain-picker", "application-ref", "textarea", "size-picker"})
_KEPT = frozenset(
    (
        *("type", "properties", "required", "default", "enum", "const", "title", "description", "minimum", "maximum"),
        *("minLength", "maxLength", "pattern", "format", "items", "minItems", "maxItems", "uniqueItems", "oneOf"),
        *("dependentRequired", "x-catalyst-ui-hint", "x-catalyst-ui-filter", "x-catalyst-i18n", "x-catalyst-order"),
        *("x-catalyst-advanced", "x-catalyst-env-specific", "x-catalyst-immutable", "x-catalyst-restart"),
    )
)
_SPECIFIC_HINTS = frozenset({"password", "domain-picker", "size-picker"})
#: Look-around and named groups, back-references, a quantified group that holds a quantifier.
_RISKY_PATTERN = re.compile(r"\(\?(?!:)|\\[1-9]|\([^()]*[*+{][^()]*\)[*+{?]")


def check_config_schema(schema: Any, path: str, findings: list[Finding]) -> None:
    """Append a finding for everything that leaves the subset or its limits."""
    checker = _Checker(findings)
    if not isinstance(schema, dict) or schema.get("type") != "object":
        checker.refuse("BP-S01", path, _("The schema describes an object."), _("Start with type: object."))
        return
    if len(json.dumps(schema, ensure_ascii=False).encode()) > MAX_BYTES:
        checker.refuse("BP-S01", path, _("The schema is too large."), _("Keep what people need; 32 KiB at most."))
        return
    checker.check_node(schema, path, depth=0)
    if checker.property_count > MAX_PROPERTIES:
        fix = _("Keep at most %(limit)d.") % {"limit": MAX_PROPERTIES}
        checker.refuse("BP-S01", path, _("There are too many properties."), fix)


class _Checker:
    def __init__(self, findings: list[Finding]) -> None:
        self._findings = findings
        self.property_count = 0

    def refuse(self, rule: str, path: str, problem: str, fix: str) -> None:
        self._findings.append(Finding(rule, path, problem, fix))

    def check_node(self, node: Any, path: str, *, depth: int) -> None:
        """Check one schema and everything below it."""
        if not isinstance(node, dict):
            self.refuse("BP-S01", path, _("A schema is a mapping."), _("Write type, title, description."))
            return
        for key in sorted(set(node) - _KEPT):
            fix = _("Only the keywords of the configuration subset are kept.")
            self.refuse("BP-S01", f"{path}.{key}", _("This keyword is refused."), fix)
        if depth > MAX_DEPTH:
            self.refuse("BP-S01", path, _("The schema is too deep."), _("Use at most three levels."))
            return
        self._check_words(node, path)
        self._check_default(node, path)
        self._check_children(node, path, depth=depth)

    def _check_words(self, node: dict[str, Any], path: str) -> None:
        kind = node.get("type")
        if "const" not in node and not _is_one_of(kind, _TYPES):
            fix = _("Choose one of %(types)s; lists of types are refused.") % {"types": ", ".join(sorted(_TYPES))}
            self.refuse("BP-S01", f"{path}.type", _("This type is refused."), fix)
        if "format" in node and not _is_one_of(node["format"], _FORMATS):
            fix = _("Choose one of %(formats)s.") % {"formats": ", ".join(sorted(_FORMATS))}
            self.refuse("BP-S01", f"{path}.format", _("This format is refused."), fix)
        if "enum" in node and not (isinstance(node["enum"], list) and 0 < len(node["enum"]) <= MAX_ENUM):
            self.refuse("BP-S01", f"{path}.enum", _("A list of 1 to 50 values is expected."), _("Shorten it."))
        hint = node.get("x-catalyst-ui-hint")
        if hint is not None and not _is_one_of(hint, _HINTS):
            fix = _("Choose one of %(hints)s.") % {"hints": ", ".join(sorted(_HINTS))}
            self.refuse("BP-S01", f"{path}.x-catalyst-ui-hint", _("This hint is unknown."), fix)
        if _is_one_of(hint, _SPECIFIC_HINTS) and node.get("x-catalyst-env-specific") is not True:
            fix = _("Add x-catalyst-env-specific: true.")
            self.refuse("BP-S05", path, _("Hosts, sizes and secrets stay in their Environment."), fix)
        if hint == "password" and "default" in node:
            self.refuse("BP-S04", f"{path}.default", _("A secret has no default."), _("Remove the default."))
        self._check_pattern(node.get("pattern"), f"{path}.pattern")

    def _check_pattern(self, pattern: Any, path: str) -> None:
        if pattern is None:
            return
        is_short = isinstance(pattern, str) and len(pattern) <= MAX_PATTERN
        if not is_short or _RISKY_PATTERN.search(pattern) or not _compiles(pattern):
            fix = _("At most 128 characters, no look-around, back-references or nested quantifiers.")
            self.refuse("BP-S01", path, _("This pattern is refused."), fix)

    def _check_default(self, node: dict[str, Any], path: str) -> None:
        if "default" not in node or any(finding.field.startswith(path) for finding in self._findings):
            return
        plain = {key: value for key, value in node.items() if not key.startswith("x-")}
        try:
            is_valid = Draft202012Validator(plain).is_valid(node["default"])
        except (TypeError, ValueError, AttributeError, SchemaError, UnknownType):
            is_valid = False  # a keyword of the wrong type: the schema itself is broken
        if not is_valid:
            self.refuse("BP-S03", f"{path}.default", _("The default breaks its own schema."), _("Correct it."))

    def _check_children(self, node: dict[str, Any], path: str, *, depth: int) -> None:
        properties = node.get("properties", {})
        if not isinstance(properties, dict):
            self.refuse("BP-S01", f"{path}.properties", _("A mapping is expected."), _("Write name: schema lines."))
            return
        for name, child in properties.items():
            self.property_count += 1
            place = f"{path}.properties.{name}"
            if isinstance(child, dict) and "const" not in child:
                self._check_texts(child, place)
            self.check_node(child, place, depth=depth + 1)
        required = node.get("required", [])
        if not isinstance(required, list) or not all(_is_one_of(name, properties) for name in required):
            fix = _("List names of properties.")
            self.refuse("BP-S01", f"{path}.required", _("Something required is no property."), fix)
        if "items" in node:
            self._check_items(node["items"], f"{path}.items", depth=depth)
        self._check_branches(node.get("oneOf"), path, depth=depth)

    def _check_texts(self, node: dict[str, Any], path: str) -> None:
        arabic = node.get("x-catalyst-i18n", {})
        arabic = arabic.get("ar", {}) if isinstance(arabic, dict) else {}
        for key in ("title", "description"):
            if not node.get(key) or not (isinstance(arabic, dict) and arabic.get(key)):
                fix = _("Add %(key)s and x-catalyst-i18n.ar.%(key)s.") % {"key": key}
                self.refuse("BP-S02", path, _("A property is explained in English and Arabic."), fix)

    def _check_items(self, items: Any, path: str, *, depth: int) -> None:
        if not isinstance(items, dict) or items.get("type") != "string":
            self.refuse("BP-S01", path, _("A list holds strings."), _("Write items: {type: string}."))
            return
        self.check_node(items, path, depth=depth + 1)

    def _check_branches(self, branches: Any, path: str, *, depth: int) -> None:
        if branches is None:
            return
        if not isinstance(branches, list) or not 0 < len(branches) <= MAX_ENUM:
            self.refuse("BP-S01", f"{path}.oneOf", _("A list of branches is expected."), _("Write one per choice."))
            return
        for index, branch in enumerate(branches):
            place = f"{path}.oneOf.{index}"
            properties = branch.get("properties") if isinstance(branch, dict) else None
            children = properties.values() if isinstance(properties, dict) else ()
            if not any(isinstance(each, dict) and "const" in each for each in children):
                fix = _("Give each branch a property with const.")
                self.refuse("BP-S01", place, _("A branch needs a discriminator."), fix)
            if isinstance(branch, dict):
                self.check_node({"type": "object", **branch}, place, depth=depth)


def _is_one_of(value: Any, choices: Collection[str]) -> bool:
    return isinstance(value, str) and value in choices


def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True
