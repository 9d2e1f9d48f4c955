"""The release of a Helm Blueprint: its chart, and the values that stand above the chart's own.

Source: blueprints.md §2 of the design, the paragraph on values.
"""

from collections.abc import Mapping
from typing import Any, Final

from django.utils.translation import gettext as _

from catalyst.core.gitops import yaml
from catalyst.core.gitops.build import CHART, RELEASE
from marketplace.manifests.blueprint import Blueprint
from marketplace.manifests.dependency_values import merged
from marketplace.manifests.facts import EnvironmentFacts, Intent, LockEntry, ManifestsRefused
from marketplace.manifests.values import dependency_secret_path
from marketplace.selectors.resolver.conditions import default_values

_FACTS: Final = (
    *("application", "environment", "envType", "organization", "sovereign", "hostname"),
    *("namespace", "url", "size", "secretPath"),
)


def chart_values(
    *,
    environment: EnvironmentFacts,
    entry: LockEntry,
    intent: Intent,
    blueprint: Blueprint,
    facts: Mapping[str, str],
    versions: Mapping[str, str],
) -> dict[str, Any]:
    """Return the values of one release: what lint, preview, commit and Flux hand to the chart alike.

    Lowest first: the defaults of ``configSchema``, the overlay of the size, what dependents tell it, what the person
    set, and the platform's own. Secrets are left out: they lie in the secret store, at ``catalyst.secretPath``.
    ``facts`` are the strings that a Kustomize Blueprint reads (``application_values``), ``versions`` those of the lock.
    """
    overlay = {key: value for key, value in _mapping(blueprint.overlays.get(intent.size)).items() if key != "footprint"}
    values: dict[str, Any] = {}
    for layer in (default_values(blueprint.config_schema), overlay, intent.told, intent.config):
        values = merged(values, layer)
    values = _without_secrets(blueprint.config_schema, values)
    if facts.get("config.hostname"):
        values["hostname"] = facts["hostname"]
    # Put in last and whole: a Blueprint or a person who says the same is not heard.
    values["catalyst"] = {**{name: facts[name] for name in _FACTS}, "region": environment.region}
    values["dependencies"] = {
        alias: {
            "application": bound,
            "host": facts[f"dependency.{alias}.host"],
            "namespace": facts[f"dependency.{alias}.namespace"],
            "port": int(facts[f"dependency.{alias}.port"] or 0),
            "version": versions.get(bound, ""),
            "connectionSecret": dependency_secret_path(environment, dependency=bound, application=entry.application),
        }
        for alias, bound in entry.bindings.items()
        if bound
    }
    return values


def chart_files(
    *, blueprint: Blueprint, entry: LockEntry, namespace: str, values: Mapping[str, Any]
) -> dict[str, bytes]:
    """Return what ``build`` renders: the chart below ``chart/``, and the release.

    :raises ManifestsRefused: the Blueprint has no chart.
    :raises YamlRefused: a value that no file may hold, such as a float.
    """
    prefix = f"{blueprint.manifests}/"
    chart = {path.removeprefix(prefix): data for path, data in blueprint.files.items() if path.startswith(prefix)}
    if "Chart.yaml" not in chart:
        raise ManifestsRefused(_("The chart has no %(name)s.") % {"name": "Chart.yaml"})
    release = {"name": entry.application, "namespace": namespace, "values": values}
    return {RELEASE: yaml.dump_checked(release), **{f"{CHART}{path}": data for path, data in chart.items()}}


def _without_secrets(schema: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    kept = dict(values)
    for branch in (schema, *(schema.get("oneOf") or ())):
        for name, node in _mapping(branch.get("properties")).items():
            if node.get("x-catalyst-ui-hint") == "password":
                kept.pop(name, None)
            elif isinstance(kept.get(name), Mapping):
                kept[name] = _without_secrets(node, kept[name])
    return kept


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
