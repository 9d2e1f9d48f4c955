"""Takes a registry full of signed Blueprints into an empty catalogue, twice, and prints the seconds."""

import json
import resource
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter, process_time

from cryptography.hazmat.primitives.asymmetric import ec

from bench.sync_world import World, running_registry
from marketplace.services.oci.artifact import MANIFEST
from marketplace.services.oci.registry import Location, Registry
from marketplace.services.sync_registry import sync_registry
from marketplace.services.trusted_keys import trust_key


def main(home: str, blueprints: str, versions: str, images: str, way: str) -> None:
    """Print ``{"first": s, "unchanged": s, "processor": s, "second": s, "blobs": s, "one": s, "memory": MiB}``.

    ``way`` is ``index``, or ``tags`` for reading each artifact. ``processor`` is what the first run took of this
    process, ``second`` of the one that proves for it. The floors: ``blobs`` is everything that it read, fetched once
    more and nothing done with it; ``one`` is the first of these requests.
    """
    world = World(int(blueprints), int(versions), images == "images", ec.generate_private_key(ec.SECP256R1()))
    wanted = world.blueprints * world.versions
    with running_registry(Path(home)) as host:
        location = Location(host, f"sync-{images}-{way}")
        counting = _Counting(host)
        _fill(world, counting, location, way)
        counting.asked.clear()
        started, busy = perf_counter(), process_time()
        report = sync_registry(registry=counting, location=location, now=datetime.now(UTC))
        first, processor = perf_counter() - started, process_time() - busy
        children = resource.getrusage(resource.RUSAGE_CHILDREN)  # the registry is not over yet, and does not count
        second = children.ru_utime + children.ru_stime
        if len(report.created) != wanted or report.refused:
            raise SystemExit(f"{len(report.created)} of {wanted} were taken: {report.refused[:3]}")
        started = perf_counter()
        again = sync_registry(registry=Registry(host), location=location, now=datetime.now(UTC))
        unchanged = perf_counter() - started
        if again.known != wanted:
            raise SystemExit(f"{again.known} of {wanted} were known.")
        blobs, one = _fetch_again(Registry(host), counting.asked), _fetch_again(Registry(host), counting.asked[:1])
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    numbers = {"first": first, "unchanged": unchanged, "processor": processor, "second": second}
    print(json.dumps(numbers | {"blobs": blobs, "one": one, "memory": memory}))


class _Counting(Registry):
    """Writes down what is asked for."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.asked: list[str] = []

    def _send(self, method: str, path: str, **words: object) -> object:  # type: ignore[override]
        self.asked.append(path)
        return super()._send(method, path, **words)  # type: ignore[arg-type]


def _fill(world: World, registry: Registry, location: Location, way: str) -> None:
    now = datetime.now(UTC)
    if way == "index":
        world.index(registry, location, serial=int(now.timestamp()))
    else:
        world.fill(registry, location)
    trust_key(
        publisher="Bench",
        location=str(location),
        pem=world.public_key(),
        source="public",
        may_attest=way == "index",
        actor="bench",
        now=now,
    )


def _fetch_again(registry: Registry, paths: list[str]) -> float:
    started = perf_counter()
    for path in paths:
        registry._send("GET", path, headers={"Accept": MANIFEST}).read()
    return perf_counter() - started
