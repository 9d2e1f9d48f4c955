"""The documents of an Environment repository that Catalyst itself reads: identity, lock, intent, texts for people."""

from typing import Any, Final

from marketplace.manifests.facts import LAYOUT_VERSION, EnvironmentFacts, Intent, Lock, LockEntry, RenderSettings

API_VERSION: Final = "catalyst.openova.io/v1alpha1"


def environment_document(environment: EnvironmentFacts, settings: RenderSettings) -> dict[str, Any]:
    """Return ``.catalyst/environment.yaml``."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Environment",
        "metadata": {"name": environment.name},
        "spec": {
            "uuid": environment.uuid,
            "organization": environment.organization,
            "envType": environment.env_type,
            "sovereign": environment.sovereign,
            "layoutVersion": LAYOUT_VERSION,
            "rendererVersion": settings.renderer_version,
        },
    }


def lock_document(environment: EnvironmentFacts, lock: Lock) -> dict[str, Any]:
    """Return ``.catalyst/lock.yaml``; entries are sorted by Application."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Lock",
        "metadata": {"name": environment.name},
        "spec": {
            "resolverVersion": lock.resolver_version,
            "indexDigest": lock.index_digest,
            "applications": [_lock_entry(entry) for entry in sorted(lock.entries, key=lambda one: one.application)],
        },
    }


def application_document(intent: Intent) -> dict[str, Any]:
    """Return ``apps/<app>/application.yaml``: the intent in canonical form, only what the user set."""
    spec: dict[str, Any] = {
        "blueprint": intent.blueprint,
        "constraint": intent.constraint,
        "size": intent.size,
        "config": intent.config,
        "bindings": {alias: {"application": bound} for alias, bound in intent.bindings.items()},
        "state": intent.state,
        "placement": {"mode": intent.placement_mode, "regions": list(intent.regions)},
    }
    return {"apiVersion": API_VERSION, "kind": "Application", "metadata": {"name": intent.application}, "spec": spec}


def readme(environment: EnvironmentFacts) -> bytes:
    """Return README.md: the members' own text, or a few sentences on how the repository works."""
    text = environment.readme or (
        f"# {environment.name}\n\n"
        "The desired state of this Environment. Flux applies it; Catalyst writes it, one commit for each Change.\n\n"
        "- `apps/<application>/application.yaml` is what was asked for.\n"
        "- `.catalyst/lock.yaml` is what it resolved to: exact versions and digests.\n"
        "- Everything else in `apps/` and `flux/` is rendered from these two; no secret is stored here.\n"
    )
    return f"{text.rstrip()}\n".encode()


def code_owners(environment: EnvironmentFacts) -> bytes:
    """Return CODEOWNERS: the members' own file, or the administrators of the Organization for everything."""
    text = environment.code_owners or f"* @{environment.organization}/org-admin"
    return f"{text.rstrip()}\n".encode()


def _lock_entry(entry: LockEntry) -> dict[str, Any]:
    return {
        "application": entry.application,
        "blueprint": entry.blueprint,
        "version": entry.version,
        "source": entry.source,
        "ref": entry.ref,
        "digest": entry.digest,
        "requestedBy": sorted(entry.requested_by),
        "bindings": {alias: {"application": bound} for alias, bound in entry.bindings.items()},
    }
