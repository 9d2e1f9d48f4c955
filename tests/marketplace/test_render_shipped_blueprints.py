"""Every Blueprint that ships renders in each size, alone or with its dependencies, and twice to the same bytes."""

from pathlib import Path

import pytest

from catalyst.core.gitops import kustomize, yaml
from marketplace.manifests.facts import Intent, LockEntry, RenderSettings
from marketplace.manifests.render import render

from .render_blueprints import DIGEST, ENVIRONMENT, lock_of

ROOT = Path(__file__).parents[2] / "blueprints"


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def shipped() -> dict[str, tuple[str, dict[str, bytes], list[dict[str, str]]]]:
    """Return version, files and dependency edges of each Blueprint that has Kustomize manifests, by name."""
    found = {}
    # Drafts have no manifests here; nothing of them can be installed.
    for document_path in sorted(path for path in ROOT.glob("*/*/blueprint.yaml") if "drafts" not in path.parts):
        document = yaml.load(document_path.read_bytes())
        if document["spec"].get("manifests"):
            metadata, edges = document["metadata"], document["spec"].get("depends") or []
            found[metadata["name"]] = (metadata["version"], files_of(document_path.parent), edges)
    return found


BLUEPRINTS = shipped()


def entry(application: str, blueprint: str, bindings: dict[str, str]) -> LockEntry:
    version = BLUEPRINTS[blueprint][0]
    return LockEntry(
        application=application,
        blueprint=blueprint,
        version=version,
        source="public",
        ref=f"oci://ghcr.io/openova-io/{blueprint}",
        digest=DIGEST,
        bindings=bindings,
    )


@pytest.mark.parametrize("size", ["small", "medium", "large"])
@pytest.mark.parametrize("name", sorted(BLUEPRINTS))
def test_renders_in_each_size(name: str, size: str) -> None:
    edges = {edge["alias"]: edge["blueprint"] for edge in BLUEPRINTS[name][2] if edge["blueprint"] in BLUEPRINTS}
    bindings = {alias: f"x-{alias}" for alias in edges}
    entries = [entry("x-app", name, bindings), *(entry(f"x-{alias}", needed, {}) for alias, needed in edges.items())]
    intents = {
        one.application: Intent(application=one.application, blueprint=one.blueprint, constraint="^1", size=size)
        for one in entries
    }
    blueprints = {(one.blueprint, one.version): BLUEPRINTS[one.blueprint][1] for one in entries}

    first, second = (
        render(
            environment=ENVIRONMENT,
            lock=lock_of(*ordered),
            intents=intents,
            blueprints=blueprints,
            settings=RenderSettings(),
            kustomize=kustomize.build,
        )
        for ordered in (entries, entries[::-1])
    )

    kinds = {item["kind"] for item in yaml.load(first["apps/x-app/objects.yaml"])["items"]}
    assert {"Namespace", "Service", "NetworkPolicy"} <= kinds
    assert first == second
