"""Which Applications an installation needs: the closure over dependencies, in one pure function.

No clock, no database, no network: the same index and roots give the same Lock. Newest matching version wins; a shared
service stands once per Environment as ``shared-<name>``, a dedicated one as ``{app}-{alias}``.

Source: blueprints.md §5 of the design. Backtracking search is a later issue.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from catalyst.core.errors import DomainError
from marketplace.selectors.capacity import Footprint
from marketplace.selectors.version_ranges import is_allowed, parse_version

MAX_DEPTH = 8
MAX_NODES = 100


class Unresolvable(DomainError):
    """The dependencies cannot be met; the message says which and why."""

    code = "unresolvable"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True)
class Edge:
    """One entry of ``spec.depends``. ``sharing`` is ``shared`` or ``dedicated``."""

    blueprint: str
    range: str
    alias: str
    sharing: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """One published version that the reader may install."""

    blueprint: str
    version: str
    digest: str
    source: str
    kind: str
    footprint: Footprint
    depends: tuple[Edge, ...] = ()
    sharing: tuple[str, ...] = ("shared", "dedicated")


@dataclass(frozen=True, slots=True)
class Root:
    """An Application somebody asks for. An empty ``range`` means the newest release."""

    application: str
    blueprint: str
    range: str = ""


@dataclass(frozen=True, slots=True)
class LockEntry:
    """One Application. ``requested_by`` names Applications (empty for a root), ``bindings`` maps alias to name."""

    application: str
    candidate: Candidate
    requested_by: tuple[str, ...]
    bindings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Lock:
    """Entries in the order of installation: dependencies first, ties by name."""

    entries: tuple[LockEntry, ...]

    def applications(self) -> tuple[str, ...]:
        return tuple(entry.application for entry in self.entries)

    def footprints(self) -> tuple[Footprint, ...]:
        return tuple(entry.candidate.footprint for entry in self.entries)


#: Blueprint name → its candidates, in any order.
Index = Mapping[str, tuple[Candidate, ...]]


def resolve(*, index: Index, roots: Iterable[Root], existing: Lock | None = None) -> Lock:
    """Return the closure of the roots together with what the Environment already runs.

    :raises Unresolvable: a Blueprint or version is missing, two requests clash, a cycle, too deep, too many.
    """
    closure = _Closure(index)
    for entry in existing.entries if existing else ():
        closure.keep(entry)
    for root in sorted(roots, key=lambda root: root.application):
        closure.add_root(root)
    return closure.lock()


def newest(candidates: Iterable[Candidate]) -> Candidate | None:
    """Return the newest release; a pre-release only when there is nothing else."""
    ranked = sorted(
        candidates, key=lambda each: (not parse_version(each.version).prerelease, parse_version(each.version))
    )
    return ranked[-1] if ranked else None


@dataclass(slots=True)
class _Node:
    candidate: Candidate
    requested_by: set[str] = field(default_factory=set)
    bindings: dict[str, str] = field(default_factory=dict)


class _Closure:
    """The work in progress of one ``resolve`` call."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._nodes: dict[str, _Node] = {}

    def keep(self, entry: LockEntry) -> None:
        self._nodes[entry.application] = _Node(entry.candidate, set(entry.requested_by), dict(entry.bindings))

    def add_root(self, root: Root) -> None:
        if root.application in self._nodes:
            raise Unresolvable(f"An Application named {root.application} exists already.")
        self._add(root.application, root.blueprint, root.range, path=())

    def lock(self) -> Lock:
        """Order by dependency depth, then by name."""
        placed: list[LockEntry] = []
        open_names = dict(self._nodes)
        while open_names:
            ready = sorted(
                name for name, node in open_names.items() if not set(node.bindings.values()) & set(open_names)
            )
            if not ready:
                raise Unresolvable(f"Dependency cycle among {', '.join(sorted(open_names))}.")
            for name in ready:
                node = open_names.pop(name)
                bindings = dict(sorted(node.bindings.items()))
                placed.append(LockEntry(name, node.candidate, tuple(sorted(node.requested_by)), bindings))
        return Lock(tuple(placed))

    def _add(self, application: str, blueprint: str, range_text: str, *, path: tuple[str, ...]) -> None:
        if blueprint in path:
            raise Unresolvable(f"Dependency cycle: {' → '.join((*path, blueprint))}.")
        if len(path) >= MAX_DEPTH:
            raise Unresolvable(f"Dependencies are deeper than {MAX_DEPTH}: {' → '.join(path)}.")
        if len(self._nodes) >= MAX_NODES:
            raise Unresolvable(f"An installation has at most {MAX_NODES} Applications.")
        node = self._nodes[application] = _Node(self._choose(blueprint, range_text))
        for edge in sorted(node.candidate.depends, key=lambda edge: edge.alias):
            self._bind(application, node, edge, path=(*path, blueprint))

    def _bind(self, application: str, node: _Node, edge: Edge, *, path: tuple[str, ...]) -> None:
        name = (
            f"shared-{edge.blueprint.removeprefix('bp-')}"
            if edge.sharing == "shared"
            else f"{application}-{edge.alias}"
        )
        present = self._nodes.get(name)
        if present is None:
            self._add(name, edge.blueprint, edge.range, path=path)
        elif edge.blueprint in path:
            raise Unresolvable(f"Dependency cycle: {' → '.join((*path, edge.blueprint))}.")
        elif present.candidate.blueprint != edge.blueprint or not is_allowed(present.candidate.version, edge.range):
            found = f"{present.candidate.blueprint} {present.candidate.version}"
            raise Unresolvable(f"{application} needs {edge.blueprint} {edge.range}, but {name} is {found}.")
        if edge.sharing not in self._nodes[name].candidate.sharing:
            raise Unresolvable(f"{edge.blueprint} cannot be {edge.sharing}, as {application} asks.")
        self._nodes[name].requested_by.add(application)
        node.bindings[edge.alias] = name

    def _choose(self, blueprint: str, range_text: str) -> Candidate:
        known = self._index.get(blueprint, ())
        found = newest(each for each in known if not range_text or is_allowed(each.version, range_text))
        if found is None:
            wanted = f"{blueprint} {range_text}".strip()
            raise Unresolvable(f"No published version of {wanted} can be installed.")
        return found
