"""Small builders for tests of the resolver."""

from collections.abc import Mapping
from typing import Any

from marketplace.selectors.capacity import Footprint
from marketplace.selectors.resolver import Candidate, Edge, Index, Lock, LockEntry


def version(
    name: str,
    text: str,
    *edges: Edge,
    sharing: tuple[str, ...] = ("shared", "dedicated"),
    source: str = "public",
    blocks: tuple[str, ...] = (),
    defaults: Mapping[str, Any] | None = None,
) -> Candidate:
    return Candidate(
        blueprint=f"bp-{name}",
        version=text,
        digest="sha256:",
        source=source,
        kind="application",
        footprint=Footprint(1, 1, 1),
        depends=edges,
        sharing=sharing,
        blocks=blocks,
        defaults=defaults or {},
    )


def needs(name: str, text: str, *, sharing: str = "shared", alias: str = "", when: str = "") -> Edge:
    return Edge(f"bp-{name}", text, alias or name, sharing, when)


def catalogue(*versions: Candidate) -> Index:
    names = {each.blueprint for each in versions}
    return {name: tuple(each for each in versions if each.blueprint == name) for name in names}


def running(application: str, candidate: Candidate, *requested_by: str, **bindings: str) -> LockEntry:
    return LockEntry(application, candidate, requested_by, bindings)


def found(lock: Lock) -> dict[str, str]:
    """Return Application → version."""
    return {entry.application: entry.candidate.version for entry in lock.entries}


def bindings(lock: Lock, application: str) -> dict[str, str]:
    return next(dict(entry.bindings) for entry in lock.entries if entry.application == application)
