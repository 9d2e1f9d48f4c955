"""What may stand in a configuration beyond its schema: hosts need proof, the Application that is named must run.

Every judgment starts here.

Source: docs/blueprints.md, "Forms".
"""

from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from django.utils.translation import gettext as _

from marketplace.selectors.form_surroundings import is_reference, referable
from marketplace.selectors.own_hosts import OwnHosts, is_host
from marketplace.services.blueprint_contract.config_values import ValueProblem, check_values

#: The Applications of an Environment where nothing runs yet.
NOTHING_RUNS: Final[Mapping[str, str]] = MappingProxyType({})


def find_problems(
    schema: Mapping[str, Any],
    values: Any,
    *,
    hosts: Collection[str] = (),
    applications: Mapping[str, str] | None = None,
) -> list[ValueProblem]:
    """Return everything that is wrong with a configuration; ``hosts`` are proven to be the Organization's.

    A host need not be given, required or not: then the platform gives one. ``applications`` has the Blueprint of each
    other Application of the Environment by its name; None where the place is of no concern, then no name is judged.
    """
    problems = check_values(_without_hosts(schema), values) or list(_foreign_hosts(schema, values, hosts))
    if applications is None or problems:
        return problems
    return list(_missing_applications(schema, values, applications))


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
    schema: Mapping[str, Any], values: Mapping[str, Any], hosts: Collection[str]
) -> Iterator[ValueProblem]:
    for place, node, value in _settings(schema, values):
        if is_host(node) and value and value not in hosts:
            text = _("Leave this empty: %(host)s is not proven to be yours.") % {"host": str(value)[:80]}
            if isinstance(hosts, OwnHosts):
                text = hosts.why_not(str(value))
            yield ValueProblem(place, "domain-picker", text, place)


def _missing_applications(
    schema: Mapping[str, Any], values: Mapping[str, Any], applications: Mapping[str, str]
) -> Iterator[ValueProblem]:
    for place, node, value in _settings(schema, values):
        if not is_reference(node) or not value or value in (known := referable(node, applications)):
            continue
        text = _("Leave this empty: no Application that could stand here runs in this Environment.")
        if known:
            text = _("Choose one of these: %(choices)s.") % {"choices": ", ".join(known)}
        yield ValueProblem(place, "application-ref", text, place)


def _settings(
    schema: Mapping[str, Any], values: Mapping[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[str, Mapping[str, Any], Any]]:
    """Yield what is set: where, the node of the schema, the value."""
    for branch in (schema, *(schema.get("oneOf") or ())):
        for name, node in (branch.get("properties") or {}).items():
            value = values.get(name)
            if isinstance(value, Mapping) and node.get("type") == "object":
                yield from _settings(node, value, (*path, name))
            else:
                yield ".".join((*path, name)), node, value
