"""What Applications tell the services they need: ``values`` of their dependencies, with the paths in them filled in.

A text is literal, or it is one path alone, and then the typed value stands in its place. Nothing evaluates templates.
Source: blueprints.md §2 and §3 of the design.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.utils.translation import gettext as _

from marketplace.manifests.facts import EnvironmentFacts, ManifestsRefused

_PATH = re.compile(r"\{\{ *\.([A-Za-z][A-Za-z0-9_.]*) *\}\}")
#: Stands for a path that is not set: the value is left out.
_UNSET: Final = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """One Application: what a person set, what its version sets by default, and what it tells whom.

    ``tells`` holds pairs of an Application and the values for it. What it is told beside its ``properties`` means
    nothing to its version, and is left out.
    """

    application: str
    config: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    properties: frozenset[str] = frozenset()
    tells: tuple[tuple[str, Mapping[str, Any]], ...] = ()


def dependency_values(environment: EnvironmentFacts, parties: Iterable[Party]) -> dict[str, dict[str, Any]]:
    """Return what each Application is told, by its name; lists are united in the order of the names that tell.

    :raises ManifestsRefused: two want different values of one thing.
    """
    everyone = {party.application: party for party in sorted(parties, key=lambda party: party.application)}
    told: dict[str, dict[str, Any]] = {}
    configs: dict[str, dict[str, Any]] = {}
    # Whoever is told something may pass it on, so those that tell come first. Only what was broken before has a circle.
    while waiting := [name for name in everyone if name not in told]:
        listening = {name for teller in waiting for name, _values in everyone[teller].tells}
        for name in [name for name in waiting if name not in listening] or waiting[:1]:
            told[name] = _told(everyone[name], everyone, configs, environment)
            party = everyone[name]
            configs[name] = merged(merged(party.defaults, told[name]), party.config)
    return told


def _told(
    listener: Party,
    everyone: Mapping[str, Party],
    configs: Mapping[str, Mapping[str, Any]],
    environment: EnvironmentFacts,
) -> dict[str, Any]:
    told: dict[str, Any] = {}
    said_by: dict[tuple[str, ...], str] = {}
    for name in [name for name in everyone if name in configs]:
        for target, values in everyone[name].tells:
            if target == listener.application:
                meant = {key: value for key, value in values.items() if key in listener.properties}
                filled = _filled(meant, environment, name, configs[name])
                _unite(told, filled, who=name, path=(target,), said_by=said_by)
    return told


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return both, where ``above`` wins; objects are merged, lists are replaced."""
    result = dict(below)
    for name, value in above.items():
        under = result.get(name)
        result[name] = merged(under, value) if isinstance(under, Mapping) and isinstance(value, Mapping) else value
    return result


def _filled(value: Any, environment: EnvironmentFacts, application: str, config: Mapping[str, Any]) -> Any:
    if isinstance(value, Mapping):
        filled = {name: _filled(child, environment, application, config) for name, child in value.items()}
        return {name: child for name, child in filled.items() if child is not _UNSET}
    if isinstance(value, list):
        items = [_filled(child, environment, application, config) for child in value]
        return [item for item in items if item is not _UNSET]
    match = _PATH.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return value
    facts = {
        "application.name": application,
        "environment.name": environment.name,
        "environment.envType": environment.env_type,
        "organization.slug": environment.organization,
    }
    return facts[match[1]] if match[1] in facts else _at(config, match[1].split(".")[1:])


def _at(config: Any, path: Iterable[str]) -> Any:
    for name in path:
        if not isinstance(config, Mapping) or config.get(name) is None:
            return _UNSET
        config = config[name]
    return config


def _unite(
    told: dict[str, Any], values: Mapping[str, Any], *, who: str, path: tuple[str, ...], said_by: dict[Any, str]
) -> None:
    """Add what one Application says to what others said before it."""
    for name, value in values.items():
        place, there = (*path, name), told.get(name, _UNSET)
        if there is _UNSET:
            told[name] = _copied(value)
            said_by[place] = who
        elif isinstance(there, dict) and isinstance(value, Mapping):
            _unite(there, value, who=who, path=place, said_by=said_by)
        elif isinstance(there, list) and isinstance(value, list):
            there += [item for item in value if item not in there]
        elif (type(there), there) != (type(value), value):
            text = _(
                "%(first)s and %(second)s want different values of %(setting)s for %(target)s. Change one of them."
            )
            setting = ".".join(place[1:])
            words = {"first": _first(said_by, place), "second": who, "setting": setting, "target": place[0]}
            raise ManifestsRefused(text % words)


def _first(said_by: Mapping[Any, str], place: tuple[str, ...]) -> str:
    """Return who said it first; of something inside an object, who brought the object."""
    while place not in said_by:
        place = place[:-1]
    return said_by[place]


def _copied(value: Any) -> Any:
    """Return a value that may be added to; equal items of a list count once."""
    if isinstance(value, Mapping):
        return {name: _copied(child) for name, child in value.items()}
    if isinstance(value, list):
        return [item for place, item in enumerate(value) if item not in value[:place]]
    return value
