"""The closed subset of JSON Schema that a configuration form can draw: its tree, its limits, its defaults.

Source: blueprints.md §3 of the design.
"""

import json
from itertools import chain
from typing import Any, Final

from django.utils.translation import gettext as _

from marketplace.services.blueprint_contract.config_values import check_values
from marketplace.services.blueprint_contract.config_words import MAX_ENUM, WordsChecker, is_one_of
from marketplace.services.blueprint_contract.reader import Finding

MAX_DEPTH: Final = 3
MAX_PROPERTIES: Final = 60
MAX_BYTES: Final = 32 * 1024


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
        self._words = WordsChecker(findings)
        self.property_count = 0

    def refuse(self, rule: str, path: str, problem: str, fix: str) -> None:
        self._findings.append(Finding(rule, path, problem, fix))

    def check_node(self, node: Any, path: str, *, depth: int) -> None:
        """Check one schema and everything below it."""
        if not isinstance(node, dict):
            self.refuse("BP-S01", path, _("A schema is a mapping."), _("Write type, title, description."))
            return
        if depth > MAX_DEPTH:
            self.refuse("BP-S01", path, _("The schema is too deep."), _("Use at most three levels."))
            return
        self._words.check(node, path)
        self._check_children(node, path, depth=depth)
        self._check_default(node, path)

    def _check_default(self, node: dict[str, Any], path: str) -> None:
        """Judge a default by a schema that is sound so far."""
        is_broken = any(each.field == path or each.field.startswith(f"{path}.") for each in self._findings)
        if "default" not in node or is_broken:
            return
        if check_values(node, node["default"]):
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
        dependents = node.get("dependentRequired") if _is_lists(node.get("dependentRequired")) else None
        needed = [*dependents, *chain(*dependents.values())] if isinstance(dependents, dict) else []
        if not isinstance(required, list) or not all(is_one_of(name, properties) for name in [*required, *needed]):
            fix = _("List names of properties.")
            self.refuse("BP-S01", f"{path}.required", _("Something required is no property."), fix)
        if "items" in node:
            self._check_items(node["items"], f"{path}.items", depth=depth)
        elif node.get("type") == "array":
            self.refuse("BP-S01", path, _("A list says what it holds."), _("Write items: {type: string}."))
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
        shared: set[str] | None = None
        for index, branch in enumerate(branches):
            place = f"{path}.oneOf.{index}"
            constants = _constants(branch)
            shared = constants if shared is None else shared & constants
            if not shared:
                fix = _("Give each branch the same property with its own const, and require it.")
                self.refuse("BP-S01", place, _("A branch needs a discriminator."), fix)
            if isinstance(branch, dict):
                self.check_node({"type": "object", **branch}, place, depth=depth)


def _constants(branch: Any) -> set[str]:
    properties = branch.get("properties") if isinstance(branch, dict) else None
    if not isinstance(properties, dict):
        return set()
    return {name for name, node in properties.items() if isinstance(node, dict) and "const" in node}


def _is_lists(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(each, list) for each in value.values())
