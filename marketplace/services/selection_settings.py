"""What a buyer says about the Applications of an Order, judged before any money moves.

Source: docs/blueprints.md, "Forms"; docs/checkout.md.
"""

from collections.abc import Collection, Mapping
from typing import Any

from django.utils.translation import gettext as _

from marketplace.services.blueprint_contract.config_values import ValueProblem
from marketplace.services.configuration_rules import NOTHING_RUNS, find_problems
from marketplace.services.edits_config import ConfigurationRefused
from marketplace.services.typed_secrets import find_untyped

Settings = Mapping[str, Mapping[str, Any]]


def check_settings(
    settings: Settings,
    config: Mapping[str, Any],
    *,
    buyer_email: str,
    pointer: str = "/config",
    applications: Mapping[str, str] = NOTHING_RUNS,
    hosts: Collection[str] = (),
) -> None:
    """Refuse what the chosen Blueprints do not take: ``settings`` has the configSchema of each one by its name.

    A required e-mail address that nobody gave is the buyer's own, as it will be when the Order is delivered.

    ``pointer`` leads to ``config`` in what was sent. ``applications`` has the Blueprint of each Application that runs
    where these come, by its name; ``hosts`` are those that a new Application may have.

    :raises ConfigurationRefused: with a pointer like ``/config/bp-wordpress/title`` for each problem.
    """
    found = [(name, _unknown(f"{pointer}/{name}")) for name in config if name not in settings]
    for name, bare in settings.items():
        schema = {"type": "object", "properties": {}, **bare}
        given = with_address(schema, config.get(name) or {}, buyer_email)
        problems = find_problems(schema, given, hosts=hosts, applications=applications)
        problems = problems or [_untyped(path) for path in find_untyped(name, schema, given)]
        found += [(name, _as_json(f"{pointer}/{name}", problem)) for problem in problems]
    if found:
        name, first = found[0]
        text = _("The settings of %(app)s do not fit. %(problem)s")
        words = {"app": name.removeprefix("bp-")[:48], "problem": first["message"]}
        extra = {"problems": [said for _name, said in found]}
        raise ConfigurationRefused(text % words, pointer=first["pointer"], extra=extra)


def with_address(schema: Mapping[str, Any], given: Mapping[str, Any], email: str) -> dict[str, Any]:
    """Return what was given, and this address for every required e-mail address that was not."""
    properties = schema.get("properties") or {}
    asked = [name for name in schema.get("required") or () if properties.get(name, {}).get("format") == "email"]
    return {**dict.fromkeys(asked, email), **given} if email else dict(given)


def _untyped(path: str) -> ValueProblem:
    text = _("Type this secret again: the one that is named here was not kept, or an order has it already.")
    return ValueProblem(path, "secret", text, path)


def _unknown(pointer: str) -> dict[str, str]:
    return {"pointer": pointer, "keyword": "unknown", "message": _("This is not part of the order. Remove it.")}


def _as_json(pointer: str, problem: ValueProblem) -> dict[str, str]:
    path = problem.place.replace(".", "/")
    return {
        "pointer": f"{pointer}/{path}" if path else pointer,
        "keyword": problem.keyword,
        "message": problem.message,
    }
