"""What a Blueprint meets when it is published: what stands on the shelf already, and from whom it comes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from marketplace.models import BlueprintVersion
from marketplace.selectors.version_ranges import parse_version
from marketplace.services.blueprint_contract import Contract
from marketplace.services.blueprint_lint.looks import skeleton


@dataclass(frozen=True, slots=True)
class Published:
    """One version on the shelf. ``spec`` is its document's; without ``files`` its manifests are not known."""

    version: str
    digest: str
    spec: Mapping[str, Any]
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Artifact:
    """What came with a packed Blueprint. ``signed_images`` are references whose signature was verified."""

    has_materials: bool
    signed_images: frozenset[str] = frozenset()


@dataclass(slots=True)
class ShelfIndex:
    """What the rules ask of a whole shelf, by name. ``needs`` are the edges of every version.

    ``named`` and ``titled`` lead from what a name or title looks like to the Blueprints that look so.
    """

    needs: dict[str, set[str]] = field(default_factory=dict)
    named: dict[str, set[str]] = field(default_factory=dict)
    titled: dict[str, set[str]] = field(default_factory=dict)

    def add(self, name: str, spec: Mapping[str, Any]) -> None:
        """Take in one version."""
        self.needs.setdefault(name, set()).update(edge["blueprint"] for edge in spec.get("depends") or ())
        self.named.setdefault(skeleton(name), set()).add(name)
        title = str((spec.get("card") or {}).get("title", ""))
        if title:
            self.titled.setdefault(skeleton(title), set()).add(name)


@dataclass(frozen=True, slots=True)
class Shelf:
    """``published`` by name; ``source`` is ``public``, ``sovereign`` or ``org``; no ``categories`` means any.

    ``artifact`` is None while the Blueprint is a plain folder: what only a package can have is not asked for then.
    ``index`` is that of exactly these versions; whoever judges many keeps one, and it is made when there is none.
    """

    published: Mapping[str, tuple[Published, ...]] = field(default_factory=dict)
    categories: frozenset[str] = frozenset()
    source: str = "public"
    artifact: Artifact | None = None
    index: ShelfIndex | None = None

    def known(self) -> ShelfIndex:
        """Return the index of what stands here."""
        if self.index is not None:
            return self.index
        made = ShelfIndex()
        for name, versions in self.published.items():
            for each in versions:
                made.add(name, each.spec)
        return made

    def versions(self, name: str) -> tuple[Published, ...]:
        return self.published.get(name, ())

    def earlier(self, contract: Contract) -> list[Published]:
        """Return the released versions before this one, newest first."""
        own = parse_version(contract.version)
        before = [each for each in self.versions(contract.name) if parse_version(each.version) < own]
        released = [each for each in before if not parse_version(each.version).prerelease]
        return sorted(released, key=lambda each: parse_version(each.version), reverse=True)


def published_versions(rows: Iterable[BlueprintVersion], *, with_files: bool) -> dict[str, tuple[Published, ...]]:
    """Return rows (with their Blueprint) as a shelf holds them, by name."""
    found: dict[str, list[Published]] = {}
    for row in rows:
        one = Published(row.version, row.digest, row.contract.get("spec", {}), row.files if with_files else {})
        found.setdefault(row.blueprint.name, []).append(one)
    return {name: tuple(versions) for name, versions in found.items()}
