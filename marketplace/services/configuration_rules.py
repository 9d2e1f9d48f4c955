"""What may stand in a configuration beyond its schema: hosts need proof. Every judgment starts here.

Source: docs/blueprints.md, "Forms".
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from django.utils.translation import gettext as _

from marketplace.selectors.form_surroundings import is_host
from marketplace.services.blueprint_contract.config_values import ValueProblem, check_values


def find_problems(schema: Mapping[str, Any], values: Any, *, hosts: Collection[str] = ()) -> list[ValueProblem]:
    """Return everything that is wrong with a configuration; ``hosts`` are proven to be the Organization's.

    A host need not be given, required or not: then the platform gives one.
    """
    return check_values(_without_hosts(schema), values) or list(_foreign_hosts(schema, values, hosts, ()))


def _without_hosts(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same schema, in which no host is required."""
    properties = schema.get("properties") or {}
    changed = dict(schema)
    if "required" in schema:
        changed["required"] = [name for name in schema["required"] if not is_host(properties.get(name, {}))]
    if "properties" in schema:
        changed["properties"] = {name: _without_hosts(node) for name, node in properties.items()}
    if "oneOf" in schema:
        changed["oneOf"] = [_without_hosts(branch) for branch in schema["oneOf"]]
    return changed


def _foreign_hosts(
    schema: Mapping[str, Any], values: Mapping[str, Any], hosts: Collection[str], path: tuple[str, ...]
) -> Iterator[ValueProblem]:
    for branch in (schema, *(schema.get("oneOf") or ())):
        for name, node in (branch.get("properties") or {}).items():
            value, place = values.get(name), ".".join((*path, name))
            if isinstance(value, Mapping) and node.get("type") == "object":
                yield from _foreign_hosts(node, value, hosts, (*path, name))
            elif is_host(node) and value and value not in hosts:
                text = _("Leave this empty: %(host)s is not proven to be yours.") % {"host": str(value)[:80]}
                yield ValueProblem(place, "domain-picker", text, place)
