"""From a ``configSchema`` to the controls that draw it: one builder per kind of node.

Source: blueprints.md §3 of the design.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marketplace.forms.schema_controls import (
    CheckControl,
    ChoiceControl,
    ConstantControl,
    Control,
    FixedControl,
    ListControl,
    TextControl,
)
from marketplace.forms.schema_special import (
    Branch,
    GroupControl,
    HostControl,
    SecretControl,
    YamlControl,
)
from marketplace.forms.schema_words import UNSET, Choice, choices_of, sizes_of, text_of, words_of
from marketplace.selectors.form_surroundings import Surroundings, referable

_LAST = 1_000_001


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a node stands: its name in the browser and its path in the configuration."""

    name: str
    path: tuple[str, ...] = ()

    def below(self, key: str) -> "_Place":
        return _Place(f"{self.name}.{key}", (*self.path, key))


def build_root(
    schema: Mapping[str, Any],
    initial: Mapping[str, Any],
    *,
    prefix: str,
    language: str,
    around: Surroundings,
    is_installed: bool,
) -> GroupControl:
    """Return the group of everything a schema asks; ``initial`` is what is set now."""
    builder = _Builder(language, around, is_installed)
    return builder.group(schema, _Place(prefix), current=dict(initial), default=UNSET, is_required=True)


@dataclass(frozen=True, slots=True)
class _Builder:
    language: str
    around: Surroundings
    is_installed: bool

    def group(
        self, node: Mapping[str, Any], place: _Place, *, current: Any, default: Any, is_required: bool
    ) -> GroupControl:
        """Draw an object, with the branches of its ``oneOf``."""
        control = GroupControl(node, name=place.name, path=place.path, language=self.language)
        control.load(current, default=default, is_required=is_required)
        control.controls = self._children(node, place, control)
        branches = node.get("oneOf", ())
        if branches:
            control.discriminator = _discriminator(branches)
            effective = _mapping(default) | _mapping(current)
            control.chosen = text_of(effective.get(control.discriminator, UNSET))
            control.branches = [
                self._branch(branch, place, control, number=number) for number, branch in enumerate(branches)
            ]
        return control

    def _branch(self, branch: Mapping[str, Any], place: _Place, group: GroupControl, *, number: int) -> Branch:
        node = branch["properties"][group.discriminator]
        label = words_of(node, "title", self.language) or text_of(node["const"])
        choice = Choice(node["const"], text_of(node["const"]), label)
        asked = {key: child for key, child in branch["properties"].items() if key != group.discriminator}
        inside = _Place(f"{place.name}.~{number}", place.path)
        return Branch(choice, self._children({**branch, "properties": asked}, inside, group))

    def _children(self, node: Mapping[str, Any], place: _Place, group: GroupControl) -> list[Control]:
        current, default = _mapping(group.current), _mapping(group.default)
        required = node.get("required", ())
        controls = [
            self._control(
                child,
                place.below(key),
                current=current.get(key, UNSET),
                default=default.get(key, child.get("default", UNSET)),
                is_required=key in required,
            )
            for key, child in node.get("properties", {}).items()
        ]
        return sorted(
            controls,
            key=lambda each: (not each.is_required, each.node.get("x-catalyst-order", _LAST), each.is_advanced),
        )

    def _control(
        self, node: Mapping[str, Any], place: _Place, *, current: Any, default: Any, is_required: bool
    ) -> Control:
        if node.get("type") == "object" and _is_drawable(node) and not self._is_fixed(node):
            return self.group(node, place, current=current, default=default, is_required=is_required)
        control = self._leaf(node, place)
        control.load(current, default=default, is_required=is_required)
        if self._is_fixed(node) and not isinstance(control, ConstantControl | SecretControl):
            fixed = FixedControl(node, name=place.name, path=place.path, language=self.language)
            fixed.choices = control.choices
            fixed.load(current, default=default, is_required=is_required)
            return fixed
        return control

    def _is_fixed(self, node: Mapping[str, Any]) -> bool:
        return self.is_installed and bool(node.get("x-catalyst-immutable"))

    def _leaf(self, node: Mapping[str, Any], place: _Place) -> Control:
        """Return the control of a node that is no group."""
        known: dict[str, Any] = {"name": place.name, "path": place.path, "language": self.language}
        if not _is_drawable(node):
            return YamlControl(node, **known)
        if "const" in node:
            return ConstantControl(node, **known)
        if "x-catalyst-ui-hint" in node and (hinted := self._hinted(node, known)) is not None:
            return hinted
        if "enum" in node:
            return ChoiceControl(node, **known, choices=choices_of(node, self.language))
        if node["type"] == "array":
            return self._list(node, known)
        return CheckControl(node, **known) if node["type"] == "boolean" else TextControl(node, **known)

    def _hinted(self, node: Mapping[str, Any], known: dict[str, Any]) -> Control | None:
        """Return the control that a hint asks for; a long text is a text like others."""
        match node["x-catalyst-ui-hint"]:
            case "password":
                return SecretControl(node, **known, around=self.around)
            case "domain-picker":
                return HostControl(node, **known, around=self.around)
            case "application-ref":
                return ChoiceControl(node, **known, choices=self._applications(node), is_closed=True)
            case "size-picker":
                return ChoiceControl(node, **known, choices=sizes_of(node), is_closed=True)
        return None

    def _list(self, node: Mapping[str, Any], known: dict[str, Any]) -> ListControl:
        control = ListControl(node, **known)
        if "enum" in node["items"]:
            control.choices = choices_of(node["items"], self.language)
        return control

    def _applications(self, node: Mapping[str, Any]) -> list[Choice]:
        return [Choice(name, name, name) for name in referable(node, self.around.applications)]


def _is_drawable(node: Mapping[str, Any]) -> bool:
    """Tell whether there is a control for a node; for anything else there is YAML."""
    kind, branches = node.get("type"), node.get("oneOf", ())
    if kind == "array":
        return isinstance(node.get("items"), Mapping) and node["items"].get("type") == "string"
    if kind == "object":
        return bool(_discriminator(branches)) if branches else bool(node.get("properties"))
    return "const" in node or kind in ("string", "integer", "number", "boolean")


def _discriminator(branches: Any) -> str:
    """Return the property that has a constant in every branch, or nothing."""
    names = [
        {name for name, node in branch.get("properties", {}).items() if "const" in node} if branch else set()
        for branch in branches
    ]
    shared = set.intersection(*names) if names else set()
    return min(shared, default="")


def _mapping(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}
