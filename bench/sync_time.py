"""Takes a registry full of signed Blueprints into an empty catalogue, twice, and prints the seconds."""

import json
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from cryptography.hazmat.primitives.asymmetric import ec

from bench.sync_world import World, running_registry
from marketplace.services.oci.registry import Location, Registry
from marketplace.services.sync_registry import sync_registry
from marketplace.services.trusted_keys import trust_key


def main(home: str, blueprints: str, versions: str, images: str) -> None:
    """Print ``{"first": s, "unchanged": s, "manifests": s, "lists": s}``.

    The last two are the floor: one request for each version, or repository, and nothing done with the answer.
    """
    world = World(int(blueprints), int(versions), images == "images", ec.generate_private_key(ec.SECP256R1()))
    now = datetime.now(UTC)
    with running_registry(Path(home)) as host:
        registry, location = Registry(host), Location(host, f"sync-{images}")
        world.fill(registry, location)
        trust_key(
            publisher="Bench",
            location=str(location),
            pem=world.public_key(),
            source="public",
            actor="bench",
            now=now,
        )
        lists, manifests = _floor(registry, location)
        started = perf_counter()
        report = sync_registry(registry=Registry(host), location=location, now=datetime.now(UTC))
        first = perf_counter() - started
        wanted = world.blueprints * world.versions
        if len(report.created) != wanted or report.refused:
            raise SystemExit(f"{len(report.created)} of {wanted} were taken: {report.refused[:3]}")
        started = perf_counter()
        again = sync_registry(registry=Registry(host), location=location, now=datetime.now(UTC))
        unchanged = perf_counter() - started
        if again.known != wanted:
            raise SystemExit(f"{again.known} of {wanted} were known.")
    print(json.dumps({"first": first, "unchanged": unchanged, "manifests": manifests, "lists": lists}))


def _floor(registry: Registry, location: Location) -> tuple[float, float]:
    started = perf_counter()
    tags = {name: registry.tags(location.repository(name)) for name in registry.repositories(location.path)}
    lists = perf_counter() - started
    for name, each in tags.items():
        for tag in each:
            if not tag.startswith("sha256-"):
                registry.manifest(location.repository(name), tag)
    return lists, perf_counter() - started - lists
