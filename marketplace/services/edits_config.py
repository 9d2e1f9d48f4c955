"""What a configuration may become: the one judgment over values, and what cannot be set again.

Source: docs/delivery.md; blueprints.md §3 of the design.
"""

from collections.abc import Collection, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError
from marketplace.models import ApplicationEdit, BlueprintVersion
from marketplace.selectors.own_hosts import OwnHosts
from marketplace.services.blueprint_contract.config_values import ValueProblem
from marketplace.services.configuration_rules import find_problems


class ConfigurationRefused(DomainError):
    """A value does not fit the Blueprint's schema; ``extra["problems"]`` holds all of them."""

    code = "configuration_refused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class SettingImmutable(DomainError):
    """This can be chosen at the installation only."""

    code = "setting_immutable"
    status = HTTPStatus.CONFLICT


def schema_of(version: BlueprintVersion) -> Mapping[str, Any]:
    """Return the configSchema of a version; without one nothing can be set."""
    schema: Mapping[str, Any] = version.contract.get("spec", {}).get("configSchema") or {}
    return {"type": "object", "properties": {}, **schema}


def check_configuration(
    version: BlueprintVersion, config: Any, *, applications: Mapping[str, str], hosts: Collection[str] = ()
) -> None:
    """Refuse a configuration that does not fit; ``applications`` has the Blueprint of each other one, by its name.

    ``hosts`` are those that the Application may have.

    :raises ConfigurationRefused: with a pointer to the first value that does not fit.
    """
    if problems := find_problems(schema_of(version), config, applications=applications, hosts=hosts):
        raise _refused(problems)


def check_carried_over(edit: ApplicationEdit) -> None:
    """Refuse a version to which a configuration is new in a wrong way; what was wrong before is not judged again.

    :raises ConfigurationRefused: a setting does not fit any more, or one is required now.
    """
    row = edit.application
    hosts = OwnHosts(row.organization_id, row)
    before = find_problems(schema_of(row.blueprint_version), row.config, hosts=hosts)
    known = {(each.path, each.keyword) for each in before}
    found = find_problems(schema_of(edit.blueprint_version), edit.config, hosts=hosts)
    if problems := [each for each in found if (each.path, each.keyword) not in known]:
        raise _refused(problems, application=row.slug)


def check_immutable(version: BlueprintVersion, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Refuse to change what can be chosen at the installation only.

    :raises SettingImmutable: with a pointer to the setting.
    """
    for path, node in _immutable(schema_of(version)):
        if _at(before, path, node.get("default")) != _at(after, path, node.get("default")):
            text = _("%(setting)s is chosen once, when it is installed. Leave it as it is.")
            title = str(node.get("title") or path[-1])
            raise SettingImmutable(text % {"setting": title}, pointer=f"/config/{'/'.join(path)}")


def changed_settings(schema: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return the settings at the top that differ, in the order of the schema."""
    branches = (schema, *(schema.get("oneOf") or ()))
    names = dict.fromkeys(name for branch in branches for name in branch.get("properties") or ())
    return [name for name in [*names, *sorted({*before, *after} - set(names))] if before.get(name) != after.get(name)]


def _refused(problems: list[ValueProblem], application: str = "") -> ConfigurationRefused:
    first = problems[0]
    said = [{"pointer": _pointer(each), "keyword": each.keyword, "message": each.message} for each in problems]
    text = _("This configuration does not fit: %(problem)s")
    if application:
        text = _("The new version does not take the configuration of %(name)s: %(problem)s")
    words = {"name": application, "problem": f"{first.place}: {first.message}" if first.place else first.message}
    return ConfigurationRefused(text % words, pointer=_pointer(first), extra={"problems": said})


def _pointer(problem: ValueProblem) -> str:
    return f"/config/{problem.place.replace('.', '/')}" if problem.place else "/config"


def _immutable(
    schema: Mapping[str, Any], above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    for branch in (schema, *(schema.get("oneOf") or ())):
        for name, node in (branch.get("properties") or {}).items():
            if node.get("x-catalyst-immutable"):
                yield (*above, name), node
            elif node.get("type") == "object":
                yield from _immutable(node, (*above, name))


def _at(config: Mapping[str, Any], path: tuple[str, ...], default: Any) -> Any:
    value: Any = config
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            return default
        value = value[name]
    return value
