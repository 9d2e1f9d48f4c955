"""What a Blueprint becomes in a sample Environment: the real renderer, with made-up facts.

Source: blueprints.md §7 of the design, rules M04 and after.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Protocol

from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError
from catalyst.core.gitops.yaml import dump_checked, load
from marketplace.manifests.blueprint import find_blueprint
from marketplace.manifests.facts import EnvironmentFacts, Intent, Kustomize, LockEntry
from marketplace.manifests.layers import Layers, application_layers
from marketplace.manifests.objects import application_objects
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
SAMPLE_NAMESPACE: Final = _ENVIRONMENT.namespace(_APPLICATION)
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


class Renderer(Protocol):
    """Renders one Blueprint in a size with a configuration; see ``render_sample``."""

    def __call__(self, size: str, config: Mapping[str, Any]) -> tuple[Object, ...]: ...


def renderer_of(contract: Contract, files: Mapping[str, bytes], kustomize: Kustomize) -> Renderer:
    """Return what renders this Blueprint, once for each question; whoever gets the objects only reads."""
    answers: dict[str, tuple[Object, ...]] = {}

    def render(size: str, config: Mapping[str, Any]) -> tuple[Object, ...]:
        key = json.dumps([size, config], sort_keys=True)
        if key not in answers:
            answers[key] = render_sample(contract, files, size=size, config=config, kustomize=kustomize)
        return answers[key]

    return render


def render_sample(
    contract: Contract, files: Mapping[str, bytes], *, size: str, config: Mapping[str, Any], kustomize: Kustomize
) -> tuple[Object, ...]:
    """Return the objects of one Application of this Blueprint, secrets' references included.

    :raises RenderFailed: kustomize or a rule of docs/blueprint-manifests.md refuses.
    """
    with _refusals():
        entry, intent = _sample_application(contract, size, config)
        layers = _layers(files, entry, intent)
        made = application_objects(
            kustomize(layers.files), environment=_ENVIRONMENT, entry=entry, intent=intent, hostname=layers.hostname
        )
        return (*made.objects, *made.secrets)


def sample_layers(
    contract: Contract, files: Mapping[str, bytes], *, size: str, config: Mapping[str, Any]
) -> dict[str, bytes]:
    """Return the files that ``render_sample`` lets build.

    :raises RenderFailed: see ``render_sample``.
    """
    with _refusals():
        return _layers(files, *_sample_application(contract, size, config)).files


def in_namespace(layers: Mapping[str, bytes], name: str) -> dict[str, bytes]:
    """Return the same files for another namespace, which only the one that we write ourselves names."""
    top = load(layers["kustomization.yaml"])
    return {**layers, "kustomization.yaml": dump_checked({**top, "namespace": name})}


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except DomainError as error:
        raise RenderFailed(error.message) from None
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        # The renderer trusts the shape of what it is given; nobody has judged it yet here, so stumbling is an answer.
        raise RenderFailed(_("a value has a shape that it cannot have: %(error)s") % {"error": error}) from None


def _sample_application(contract: Contract, size: str, config: Mapping[str, Any]) -> tuple[LockEntry, Intent]:
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
    return entry, intent


def _layers(files: Mapping[str, bytes], entry: LockEntry, intent: Intent) -> Layers:
    bound = entry.bindings.values()
    return application_layers(
        environment=_ENVIRONMENT,
        entry=entry,
        intent=intent,
        blueprint=find_blueprint({(entry.blueprint, entry.version): files}, entry),
        ports=dict.fromkeys(bound, _PORT),
        versions=dict.fromkeys(bound, "1.0.0"),
    )


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
