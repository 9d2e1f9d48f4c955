"""How a Blueprint stands to the others on the shelf: its version, its dependencies, its upgrades.

Source: blueprints.md §7 of the design, rules N03, D and U.
"""

import re
from collections import ChainMap
from collections.abc import Iterator
from typing import Any, Final

from catalyst.core.names import VERSION
from marketplace.selectors.resolver import MAX_DEPTH
from marketplace.selectors.version_ranges import is_allowed, parse_version
from marketplace.services.blueprint_contract import Contract, Dependency, Finding
from marketplace.services.blueprint_lint.shelf import Published
from marketplace.services.blueprint_lint.subject import Subject

_NUMBERS = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,9}|[xX*]))?(?:\.([0-9]{1,9}|[xX*]))?(-[0-9A-Za-z.-]+)?")
_DEFAULT_SHARING: Final = ("shared", "dedicated")


def check_version(subject: Subject, digest: str) -> Iterator[Finding]:
    """Yield N03: a version that is published once stays what it is."""
    contract = subject.contract
    for each in subject.shelf.versions(contract.name):
        if each.version == contract.version and each.digest != digest:
            yield subject.finding("BP-N03", "metadata.version", detail=each.version)


def check_dependencies(subject: Subject) -> Iterator[Finding]:
    """Yield what is wrong between this Blueprint and those it needs."""
    for index, edge in enumerate(subject.contract.depends):
        field = f"spec.depends.{index}"
        matching = [each for each in subject.shelf.versions(edge.blueprint) if is_allowed(each.version, edge.range)]
        if not matching:
            yield subject.finding("BP-D02", f"{field}.version", detail=f"{edge.blueprint} {edge.range}")
            continue
        newest = max(matching, key=lambda each: parse_version(each.version))
        yield from _check_target(subject, edge, newest, field)
    yield from _check_paths(subject)


def _check_target(subject: Subject, edge: Dependency, target: Published, field: str) -> Iterator[Finding]:
    offered = (target.spec.get("exposes") or {}).get("sharing") or _DEFAULT_SHARING
    if edge.sharing not in offered:
        yield subject.finding("BP-D06", f"{field}.sharing", detail=f"{edge.blueprint}: {', '.join(offered)}")
    known = (target.spec.get("configSchema") or {}).get("properties") or {}
    for name in sorted(set(edge.values) - set(known)):
        yield subject.finding("BP-D05", f"{field}.values.{name}", detail=f"{edge.blueprint}: {name}")


def _check_paths(subject: Subject) -> Iterator[Finding]:
    """Follow every edge of every version, conditions taken as true: no way leads back, none is too long."""
    own = subject.contract.name
    needs = subject.shelf.known().needs
    below = ChainMap({own: needs.get(own, set()) | {edge.blueprint for edge in subject.contract.depends}}, needs)
    waiting: list[tuple[str, ...]] = [(own,)]
    longest: dict[str, int] = {}
    while waiting:
        path = waiting.pop()
        for target in sorted(below.get(path[-1], ())):
            longer = (*path, target)
            if target in path or len(longer) > MAX_DEPTH:
                yield subject.finding("BP-D04", "spec.depends", detail=" → ".join(longer))
                return
            if longest.get(target, 0) < len(longer):
                longest[target] = len(longer)
                waiting.append(longer)


def check_upgrades(subject: Subject) -> Iterator[Finding]:
    """Yield what is unclear about moving from an older version to this one."""
    upgrades = subject.contract.upgrades
    for sample in sorted(_samples([*upgrades.allowed_from, *upgrades.blocks])):
        if matches(sample, upgrades.allowed_from) and matches(sample, upgrades.blocks):
            yield subject.finding("BP-U02", "spec.upgrades.blocks", detail=sample)
            break
    earlier = subject.shelf.earlier(subject.contract)
    if earlier and not matches(earlier[0].version, (*upgrades.allowed_from, *upgrades.blocks)):
        yield subject.finding("BP-U01", "spec.upgrades", detail=earlier[0].version)


def may_move_from(contract: Contract, version: str) -> bool:
    """Tell whether an installed version may move to this one."""
    return matches(version, contract.upgrades.allowed_from) and not matches(version, contract.upgrades.blocks)


def matches(version: str, ranges: tuple[str, ...]) -> bool:
    return any(is_allowed(version, each) for each in ranges)


def _samples(ranges: list[str]) -> set[str]:
    """Return a version at, just below and just above each end that the ranges name: between them nothing changes."""
    found: set[str] = set()
    for text in ranges:
        for match in _NUMBERS.finditer(text):
            numbers: list[Any] = [int(part) if part and part.isdigit() else 0 for part in match.groups()[:3]]
            ends = [numbers, [numbers[0], numbers[1] + 1, 0], [numbers[0] + 1, 0, 0], [*numbers[:2], numbers[2] + 1]]
            if numbers[2]:
                ends.append([*numbers[:2], numbers[2] - 1])
            if numbers[1]:
                ends.append([numbers[0], numbers[1] - 1, 0])
            if numbers[0]:
                ends.append([numbers[0] - 1, 0, 0])
            found |= {".".join(map(str, end)) for end in ends}
            found |= {f"{'.'.join(map(str, numbers))}{match[4]}"} if match[4] else set()
    return {sample for sample in found if re.fullmatch(VERSION, sample)}
