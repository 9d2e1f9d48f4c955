"""The shelf that one run of the registry sync judges against: read once, and it grows with what is taken.

What somebody else publishes or yanks meanwhile is met by the next run. Nothing is installed by a lint: the resolver
looks at the catalogue of that moment again.
"""

from collections.abc import Iterable
from dataclasses import replace

from django.db.models import Q, QuerySet

from marketplace.models import BlueprintVersion, Category, TrustedKey
from marketplace.services.blueprint_contract import ContractRefused
from marketplace.services.blueprint_folder import BlueprintFolder
from marketplace.services.blueprint_lint import Artifact, Published, Shelf, is_refused, lint_files, published_versions
from marketplace.services.blueprint_lint.memory import Memory


class RunShelf:
    """What the readers of a trusted place may use."""

    def __init__(self, key: TrustedKey) -> None:
        self._key = key
        self.memory = Memory()
        self._own: dict[str, tuple[Published, ...]] = {}
        self._published = published_versions(self._visible().defer("files"), with_files=False)
        self._shelf = Shelf(
            published=self._published,
            categories=frozenset(Category.objects.filter(retired_at=None).values_list("slug", flat=True)),
            source=key.source,
            artifact=Artifact(has_materials=True),
        )
        self._index()

    def lint(self, folder: BlueprintFolder, digest: str) -> None:
        """Judge a Blueprint among the others: nothing is believed for being signed.

        :raises ContractRefused: with every finding that is more than a warning.
        """
        name = folder.contract.name
        own = self._versions(name)
        shelf = replace(self._shelf, published={**self._published, name: own}) if own else self._shelf
        if self.memory.is_sound(folder, digest=digest, shelf=shelf):
            return
        findings = lint_files({path: text.encode() for path, text in folder.files.items()}, shelf=shelf)
        if is_refused(findings):
            raise ContractRefused([each for each in findings if not each.is_warning])

    def add(self, folder: BlueprintFolder, digest: str) -> None:
        """Take in a version that was judged and is about to be registered."""
        name, spec = folder.contract.name, folder.contract.document["spec"]
        known = Published(folder.contract.version, digest, spec)
        self._own[name] = (*self._versions(name), replace(known, files=folder.files))
        self._published[name] = (*self._published.get(name, ()), known)
        if self._shelf.index is not None:
            self._shelf.index.add(name, spec)

    def forget(self, name: str) -> None:
        """Read one name anew: what was added of it and not registered is gone."""
        self._own.pop(name, None)
        self._published.pop(name, None)
        rows = self._visible().filter(blueprint__name=name).defer("files")
        self._published.update(published_versions(rows, with_files=False))
        self._index()

    def _index(self) -> None:
        self._shelf = replace(self._shelf, index=replace(self._shelf, index=None).known())

    def _visible(self) -> QuerySet[BlueprintVersion]:
        visible = Q(blueprint__organization=None) | Q(blueprint__organization=self._key.organization_id)
        return BlueprintVersion.objects.installable().filter(visible).select_related("blueprint")

    def _versions(self, name: str) -> tuple[Published, ...]:
        """Return this place's own versions of one name with their files; only the last name's are kept."""
        if name not in self._own:
            rows = self._visible().filter(blueprint__name=name, blueprint__source=self._key.source)
            found = published_versions(rows, with_files=True)
            self._own = {name: found.get(name, ())}
        return self._own[name]


def in_pieces(names: Iterable[tuple[str, str]], most: int) -> Iterable[list[tuple[str, str]]]:
    """Yield (name, tag) in runs of one name, of at most ``most``."""
    piece: list[tuple[str, str]] = []
    for each in names:
        if piece and (piece[0][0] != each[0] or len(piece) == most):
            yield piece
            piece = []
        piece.append(each)
    if piece:
        yield piece
