"""The ConfigMap ``catalyst-values``: everything a Kustomize Blueprint may read, as strings."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from django.utils.translation import gettext as _

from catalyst.core.gitops import yaml
from marketplace.manifests.blueprint import Blueprint
from marketplace.manifests.dependency_values import merged
from marketplace.manifests.facts import EnvironmentFacts, Intent, LockEntry, ManifestsRefused

VALUES_NAME: Final = "catalyst-values"
_KEY = re.compile(r"[-._A-Za-z0-9]{1,253}")
# kustomize refuses most of these and turns U+0085 into a space; every other character arrives as it was typed.
_CONTROL = re.compile(r"[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def application_values(
    *,
    environment: EnvironmentFacts,
    entry: LockEntry,
    intent: Intent,
    blueprint: Blueprint,
    ports: Mapping[str, int | None],
) -> dict[str, str]:
    """Return the values of one Application; ``ports`` gives the first port of each Application of the lock.

    Every key that the Blueprint can know is there; "" means that it is not set.

    :raises ManifestsRefused: a name that no ConfigMap can hold, or a control character in a value.
    """
    application = entry.application
    given = merged(intent.told, intent.config)
    configured = {path: text for path, text in _config(blueprint.config_schema, given, {}, "config")}
    hostname = configured.get("config.hostname") or environment.default_hostname(application)
    if "config.hostname" in configured:
        configured["config.hostname"] = hostname
    values = {
        "application": application,
        "environment": environment.name,
        "envType": environment.env_type,
        "organization": environment.organization,
        "sovereign": environment.sovereign,
        "namespace": environment.namespace(application),
        "hostname": hostname,
        "url": f"https://{hostname}",
        "size": intent.size,
        "secretPath": environment.secret_path(application),
        **configured,
    }
    for alias in sorted({*blueprint.aliases, *entry.bindings}):
        values.update(_dependency(environment, application, alias, entry.bindings.get(alias, ""), ports))
    if refused := [key for key in values if not _KEY.fullmatch(key)]:
        raise ManifestsRefused(_("%(key)s is not a name a value can have.") % {"key": refused[0][:80]})
    if refused := [key for key, value in values.items() if _CONTROL.search(value)]:
        raise ManifestsRefused(_("%(key)s holds a control character.") % {"key": refused[0][:80]})
    return values


def values_file(values: Mapping[str, str]) -> bytes:
    """Return the ConfigMap; its annotation makes kustomize read it and leave it out of the result."""
    return yaml.dump_checked(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": VALUES_NAME, "annotations": {"config.kubernetes.io/local-config": "true"}},
            "data": dict(values),
        }
    )


def dependency_secret_path(environment: EnvironmentFacts, *, dependency: str, application: str) -> str:
    """Return where the credential lies that ``dependency`` issues to ``application``."""
    return f"{environment.secret_path(dependency)}/{application}"


def _dependency(
    environment: EnvironmentFacts, application: str, alias: str, bound: str, ports: Mapping[str, int | None]
) -> dict[str, str]:
    port = ports.get(bound)
    facts = {
        "application": bound,
        "host": environment.service_host(bound),
        "port": "" if port is None else str(port),
        "namespace": environment.namespace(bound),
        "secret": dependency_secret_path(environment, dependency=bound, application=application),
    }
    return {f"dependency.{alias}.{key}": value if bound else "" for key, value in facts.items()}


def _config(
    schema: Mapping[str, Any], given: Mapping[str, Any], defaults: Mapping[str, Any], prefix: str
) -> Iterator[tuple[str, str]]:
    branches = [schema, *(schema.get("oneOf") or ())]
    properties = {name: node for branch in branches for name, node in (branch.get("properties") or {}).items()}
    for name, node in properties.items():
        default = defaults.get(name, node.get("default"))
        value = given.get(name, default)
        if node.get("x-catalyst-ui-hint") == "password":
            _check_secret(f"{prefix}.{name}", value)
        elif node.get("type") == "array":
            # One string for a whole list: JSON, which every language reads.
            yield f"{prefix}.{name}", "" if value is None else json.dumps(value, ensure_ascii=False)
        elif node.get("type") == "object":
            yield from _config(node, _object(value), _object(default), f"{prefix}.{name}")
        else:
            yield f"{prefix}.{name}", _text(value)


def _check_secret(path: str, value: Any) -> None:
    # The last wall before a plain secret would be in Git for ever.
    if value is not None and not isinstance(value, Mapping):
        text = _("%(key)s is a secret: the secret store holds it, the Application only a reference.")
        raise ManifestsRefused(text % {"key": path[:80]})


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value)
