"""A resolver by brute force: it builds every assignment of versions and keeps those that break no rule.

It shares nothing with the real one but the nouns and the grammar of ranges, and it is only for small indexes.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from marketplace.selectors.resolver import Candidate, Edge, Index, Lock, LockEntry, Moves, Options, Root
from marketplace.selectors.version_ranges import is_allowed, parse_version

Versions = dict[str, Candidate]
DemandKey = tuple[str, str, str, str]
MOST = 600


@dataclass(frozen=True)
class Asked:
    """What a solver is asked. ``demands``: only these ranges count (application, alias, blueprint, range)."""

    index: Index
    roots: tuple[Root, ...]
    locked: Lock
    options: Options
    demands: Collection[DemandKey] | None = None

    def holds(self, version: str, key: DemandKey) -> bool:
        if not key[3] or (self.demands is not None and key not in self.demands):
            return True
        return is_allowed(version, key[3])


def ranking(asked: Asked, application: str, blueprint: str) -> list[Candidate]:
    """Return what an Application may be, best first."""
    entries = [entry for entry in asked.locked.entries if entry.application == application]
    known = list(asked.index.get(blueprint, ()))
    newest_first = sorted(known, key=lambda each: parse_version(each.version), reverse=True)
    releases = [each for each in newest_first if "-" not in each.version]
    previews = [each for each in newest_first if "-" in each.version]
    if not entries:
        return releases + previews
    locked, options = entries[0].candidate, asked.options
    if options.moves == Moves.NONE and application not in options.upgrade | options.unlocked:
        return [locked]
    newer = [
        each
        for each in releases + previews
        if parse_version(each.version) > parse_version(locked.version) and each.source == locked.source
        if not any(is_allowed(locked.version, text) for text in each.blocks)
    ]
    if options.moves != Moves.LATEST and application not in options.upgrade:
        return [locked, *newer]
    if "-" in locked.version:
        return [*newer, locked]
    position = len([each for each in newer if "-" not in each.version])
    return [*newer[:position], locked, *newer[position:]]


class TooLarge(Exception):
    """Brute force would take too long."""


def solutions(asked: Asked) -> Iterator[Versions]:
    """Give every assignment that breaks no rule.

    :raises TooLarge: there are more than ``MOST`` assignments.
    """
    first = {entry.application: entry.candidate.blueprint for entry in asked.locked.entries}
    first |= {root.application: root.blueprint for root in asked.roots}
    parents: dict[str, tuple[str, ...]] = {name: (blueprint,) for name, blueprint in first.items()}
    for number, (chosen, edges) in enumerate(_grown(asked, first, parents, {}, {})):
        if number > MOST:
            raise TooLarge
        if _is_valid(asked, chosen, edges):
            yield chosen


def _grown(
    asked: Asked,
    waiting: Mapping[str, str],
    paths: dict[str, tuple[str, ...]],
    chosen: dict[str, Candidate],
    edges: dict[tuple[str, str], str],
) -> Iterator[tuple[dict[str, Candidate], dict[tuple[str, str], str]]]:
    if not waiting:
        yield dict(chosen), dict(edges)
        return
    name, blueprint = next(iter(waiting.items()))
    rest = {key: value for key, value in waiting.items() if key != name}
    for candidate in ranking(asked, name, blueprint):
        more, bound, below = dict(rest), {}, dict(paths)
        is_circle = False
        for edge in _edges(asked, name, candidate):
            target = _target(asked, name, edge, candidate)
            bound[name, edge.alias] = target
            is_circle |= edge.blueprint in paths[name]
            if target not in chosen and target not in more and target != name:
                more[target] = edge.blueprint
                below[target] = (*paths[name], edge.blueprint)
        if not is_circle:
            yield from _grown(asked, more, below, chosen | {name: candidate}, edges | bound)


def _edges(asked: Asked, name: str, candidate: Candidate) -> list[Edge]:
    """Return the dependencies of one version. Conditions in these tests are ``.config.extra == true``."""
    entry = _entry(asked, name)
    if entry and entry.candidate == candidate:
        return [edge for edge in candidate.depends if edge.alias in entry.bindings]
    is_extra = asked.options.config.get(name, {}).get("extra", candidate.defaults.get("extra")) is True
    return [edge for edge in candidate.depends if not edge.when or is_extra]


def _entry(asked: Asked, name: str) -> LockEntry | None:
    return next((entry for entry in asked.locked.entries if entry.application == name), None)


def is_single(asked: Asked, blueprint: str) -> bool:
    running = [each.candidate for each in asked.locked.entries if each.candidate.blueprint == blueprint]
    return any("singleton" in each.sharing for each in [*asked.index.get(blueprint, ()), *running])


def _target(asked: Asked, name: str, edge: Edge, candidate: Candidate) -> str:
    entry = _entry(asked, name)
    if entry and (kept := entry.bindings.get(edge.alias)):
        other = _entry(asked, kept)
        if entry.candidate == candidate or (other and other.candidate.blueprint == edge.blueprint):
            return kept
    for choice in asked.options.choices:
        if (choice.application, choice.alias) == (name, edge.alias):
            return choice.bind or f"{name}-{edge.alias}"
    if edge.sharing == "dedicated":
        return f"{name}-{edge.alias}"
    if is_single(asked, edge.blueprint):
        running = sorted(e.application for e in asked.locked.entries if e.candidate.blueprint == edge.blueprint)
        wanted = sorted(root.application for root in asked.roots if root.blueprint == edge.blueprint)
        if running or wanted:
            return (running or wanted)[0]
    return "shared-" + edge.blueprint[3:]


def _is_valid(asked: Asked, chosen: dict[str, Candidate], edges: dict[tuple[str, str], str]) -> bool:
    for root in asked.roots:
        if not asked.holds(chosen[root.application].version, (root.application, "", root.blueprint, root.range)):
            return False
    judged = {key: target for key, target in edges.items() if not _is_unchanged(asked, *key, target, chosen)}
    if not all(_fits(asked, chosen, name, alias, target) for (name, alias), target in judged.items()):
        return False
    given = {root.application for root in asked.roots} | set(asked.locked.applications())
    new = {key: target for key, target in judged.items() if not _is_recorded(asked, *key, target)}
    own = [target for (name, alias), target in new.items() if target == f"{name}-{alias}"]
    others = [target for (name, alias), target in new.items() if target != f"{name}-{alias}"]
    if len(set(own)) < len(own) or set(own) & (set(others) | given):
        return False
    return not _has_circle(chosen, edges)


def _is_recorded(asked: Asked, name: str, alias: str, target: str) -> bool:
    entry = _entry(asked, name)
    return entry is not None and entry.bindings.get(alias) == target


def _is_unchanged(asked: Asked, name: str, alias: str, target: str, chosen: dict[str, Candidate]) -> bool:
    """Tell whether both ends run already and stay as they are."""
    entry, other = _entry(asked, name), _entry(asked, target)
    if entry is None or other is None or not _is_recorded(asked, name, alias, target):
        return False
    return entry.candidate == chosen[name] and other.candidate == chosen[target]


def _fits(asked: Asked, chosen: dict[str, Candidate], name: str, alias: str, target: str) -> bool:
    edge = next(each for each in chosen[name].depends if each.alias == alias)
    found = chosen[target]
    if found.blueprint != edge.blueprint or not asked.holds(found.version, (name, alias, edge.blueprint, edge.range)):
        return False
    if _is_recorded(asked, name, alias, target):
        return True
    decided = [each for each in asked.options.choices if (each.application, each.alias) == (name, alias)]
    if decided and decided[0].bind:
        return target in {root.application for root in asked.roots} | set(asked.locked.applications())
    return _is_offered(asked, found, "dedicated" if decided else edge.sharing)


def _is_offered(asked: Asked, candidate: Candidate, sharing: str) -> bool:
    if is_single(asked, candidate.blueprint):
        return sharing != "dedicated"
    return sharing in candidate.sharing


def _has_circle(chosen: dict[str, Candidate], edges: dict[tuple[str, str], str]) -> bool:
    below: dict[str, set[str]] = {name: set() for name in chosen}
    for (name, _alias), target in edges.items():
        below[name].add(target)

    def walk(name: str, path: tuple[str, ...]) -> bool:
        blueprint = chosen[name].blueprint
        return blueprint in path or any(walk(target, (*path, blueprint)) for target in below[name])

    return any(walk(name, ()) for name in chosen)
