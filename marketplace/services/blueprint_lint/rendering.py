"""What a Blueprint becomes in a sample Environment: the real renderer, with made-up facts.

Source: blueprints.md §7 of the design, rules M04 and after.
"""

from collections.abc import Mapping
from typing import Any, Final

from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError
from marketplace.manifests.blueprint import find_blueprint
from marketplace.manifests.facts import EnvironmentFacts, Intent, Kustomize, LockEntry
from marketplace.manifests.layers import kustomize_files
from marketplace.manifests.objects import application_objects
from marketplace.manifests.values import application_values, values_file
from marketplace.selectors.resolver.conditions import default_values
from marketplace.services.blueprint_contract import Contract

SIZES: Final = ("small", "medium", "large")
_APPLICATION: Final = "sample"
_PORT: Final = 1
_ENVIRONMENT: Final = EnvironmentFacts(
    name="acme-dev",
    env_type="dev",
    uuid="00000000-0000-4000-8000-000000000000",
    organization="acme",
    sovereign="example",
    sovereign_domain="example.org",
    vcluster="acme",
    host_cluster="hz-fsn-rtz-dev",
)
_SAMPLES: Final = {
    "email": "person@example.org",
    "hostname": "sample.example.org",
    "uri": "https://example.org/",
    "cron": "0 3 * * *",
    "duration": "1h",
}

Object = dict[str, Any]


class RenderFailed(Exception):
    """The Blueprint does not render; the message says why."""


def render_sample(
    contract: Contract, files: Mapping[str, bytes], *, size: str, config: Mapping[str, Any], kustomize: Kustomize
) -> tuple[Object, ...]:
    """Return the objects of one Application of this Blueprint, secrets' references included.

    :raises RenderFailed: kustomize or a rule of docs/blueprint-manifests.md refuses.
    """
    needs = {edge.alias: f"shared-{edge.alias}" for edge in contract.depends}
    entry = LockEntry(
        application=_APPLICATION,
        blueprint=contract.name,
        version=contract.version,
        source="public",
        ref="",
        digest="",
        bindings=needs,
    )
    intent = Intent(
        application=_APPLICATION, blueprint=contract.name, constraint="*", size=size, config=config, bindings=needs
    )
    try:
        return _render(files, entry, intent, kustomize)
    except DomainError as error:
        raise RenderFailed(error.message) from None
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        # The renderer trusts the shape of what it is given; nobody has judged it yet here, so stumbling is an answer.
        raise RenderFailed(_("a value has a shape that it cannot have: %(error)s") % {"error": error}) from None


def _render(files: Mapping[str, bytes], entry: LockEntry, intent: Intent, kustomize: Kustomize) -> tuple[Object, ...]:
    blueprint = find_blueprint({(entry.blueprint, entry.version): files}, entry)
    values = application_values(
        environment=_ENVIRONMENT,
        entry=entry,
        intent=intent,
        blueprint=blueprint,
        ports=dict.fromkeys(entry.bindings.values(), _PORT),
    )
    namespace = _ENVIRONMENT.namespace(_APPLICATION)
    layers = kustomize_files(blueprint=blueprint, size=intent.size, namespace=namespace, values=values_file(values))
    made = application_objects(
        kustomize(layers), environment=_ENVIRONMENT, entry=entry, intent=intent, hostname=values["hostname"]
    )
    return (*made.objects, *made.secrets)


def sample_values(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the least configuration that a person can give: the defaults, and a value for what is required."""
    values = default_values(schema)
    properties = schema.get("properties") or {}
    for name in schema.get("required") or ():
        if name in properties:
            values.setdefault(name, _sample(properties[name]))
    return values


def _sample(node: Mapping[str, Any]) -> Any:
    if "const" in node or "enum" in node:
        return node.get("const", (node.get("enum") or [None])[0])
    kind = node.get("type")
    if node.get("x-catalyst-ui-hint") == "password":
        return {"secret": "sample"}
    if kind == "object":
        return sample_values(node)
    if kind in {"integer", "number"}:
        return node.get("minimum", 1)
    if kind in {"boolean", "array"}:
        return False if kind == "boolean" else []
    text = _SAMPLES.get(str(node.get("format")), "sample")
    return text.ljust(node.get("minLength", 0), "e")
