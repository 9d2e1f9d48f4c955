"""``spec.depends``: which services a Blueprint needs, when, how shared, and what it tells them.

Source: blueprints.md §2 and §3 of the design.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from django.utils.translation import gettext as _

from catalyst.core import names
from marketplace.selectors.resolver.conditions import ConditionRefused, parse_condition
from marketplace.selectors.version_ranges import RangeRefused, parse_range
from marketplace.services.blueprint_contract.reader import Section
from marketplace.services.blueprint_contract.shape import Dependency

_KEYS: Final = ("blueprint", "version", "alias", "sharing", "when", "values")
_MOST_VALUES: Final = 50
_DEEPEST_VALUE: Final = 4
_SUBSTITUTION = re.compile(r"\{\{ *(\.[A-Za-z][A-Za-z0-9_.]*) *\}\}")
_FACTS: Final = frozenset(
    {".application.name", ".environment.name", ".environment.envType", ".organization.slug"},
)


def read_depends(spec: Section, config_schema: Mapping[str, Any]) -> tuple[Dependency, ...]:
    """Read and check every dependency; conditions and values may read the configuration that the schema describes."""
    paths = frozenset(config_paths(config_schema))
    found: list[Dependency] = []
    for item in spec.sections("depends", _KEYS, rule="BP-D01", limit=20):
        dependency = Dependency(
            blueprint=item.text("blueprint", rule="BP-D01", pattern=names.BLUEPRINT),
            range=item.text("version", rule="BP-D01", limit=120),
            alias=item.text("alias", rule="BP-D03", pattern=names.ALIAS),
            sharing=item.choice("sharing", ("shared", "dedicated", "singleton"), rule="BP-D06", default="shared"),
            when=_condition(item, paths),
            values=_values(item, paths),
        )
        _check_range(item, dependency.range)
        if dependency.alias in {other.alias for other in found}:
            item.refuse("BP-D03", "alias", _("This alias stands twice."), _("Give each dependency its own."))
        found.append(dependency)
    return tuple(found)


def config_paths(schema: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of every property, those of branches too."""
    branches = schema.get("oneOf") if isinstance(schema, Mapping) else None
    for node in (schema, *(branches if isinstance(branches, list) else ())):
        properties = node.get("properties") if isinstance(node, Mapping) else None
        for name, child in properties.items() if isinstance(properties, Mapping) else ():
            yield (*above, name)
            if len(above) < _DEEPEST_VALUE:
                yield from config_paths(child, (*above, name))


def substitutions(value: Any) -> Iterator[str]:
    """Yield every text of ``values`` that has double braces in it."""
    if isinstance(value, str) and ("{{" in value or "}}" in value):
        yield value
    elif isinstance(value, Mapping):
        for child in value.values():
            yield from substitutions(child)
    elif isinstance(value, list):
        for child in value:
            yield from substitutions(child)


def _check_range(item: Section, text: str) -> None:
    try:
        parse_range(text, bounded=True)
    except RangeRefused as error:
        item.refuse("BP-D01", "version", error.message, _("Write a bounded range like ^1.2."))


def _condition(item: Section, paths: frozenset[tuple[str, ...]]) -> str:
    if not item.has("when"):
        return ""
    text = item.text("when", rule="BP-D05", limit=300)
    try:
        read = parse_condition(text).paths() if text else frozenset()
    except ConditionRefused as error:
        item.refuse("BP-D05", "when", error.message, _('Write a comparison like "{{ .config.cache == true }}".'))
        return ""
    for path in sorted(read - paths):
        _refuse_path(item, "when", f".config.{'.'.join(path)}")
    return text


def _values(item: Section, paths: frozenset[tuple[str, ...]]) -> dict[str, Any]:
    values = item.data.get("values", {})
    if not isinstance(values, dict) or _count(values) > _MOST_VALUES:
        fix = _("Write name: value lines, %(limit)d at most.") % {"limit": _MOST_VALUES}
        item.refuse("BP-D05", "values", _("A mapping is expected."), fix)
        return {}
    for text in substitutions(values):
        match = _SUBSTITUTION.fullmatch(text)
        if match is None:
            fix = _('Put one path alone, like "{{ .application.name }}"; nothing evaluates templates.')
            item.refuse("BP-D05", "values", _("%(value)r is no substitution.") % {"value": text[:80]}, fix)
        elif match[1] not in _FACTS and tuple(match[1].removeprefix(".config.").split(".")) not in paths:
            _refuse_path(item, "values", match[1])
    return values


def _refuse_path(item: Section, key: str, path: str) -> None:
    fix = _("Name a property of configSchema.")
    item.refuse("BP-D05", key, _("%(path)s does not exist.") % {"path": path[:120]}, fix)


def _count(value: Any) -> int:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(_count, children))
