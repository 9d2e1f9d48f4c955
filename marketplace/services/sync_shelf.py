"""The shelf that one run of the registry sync judges against: read once, and it grows with what is taken.

What somebody else publishes or yanks meanwhile is met by the next run. Nothing is installed by a lint: the resolver
looks at the catalogue of that moment again.
"""

from collections import ChainMap
from collections.abc import Callable, Iterable
from dataclasses import replace

from django.db.models import Q, QuerySet

from catalyst.core.gitops.yaml import find_lines
from marketplace.models import BlueprintVersion, Category, TrustedKey
from marketplace.services.blueprint_contract import ContractRefused, Finding
from marketplace.services.blueprint_folder import BlueprintFolder
from marketplace.services.blueprint_lint import Artifact, Published, Shelf, is_refused, lint_files, published_versions
from marketplace.services.blueprint_lint.judge import place_findings, written_findings
from marketplace.services.blueprint_lint.memory import Memory
from marketplace.services.blueprint_lint.subject import Subject, read_subject
from marketplace.services.sync_written import bytes_of


class RunShelf:
    """What the readers of a trusted place may use."""

    def __init__(
        self, key: TrustedKey, memory: Memory, own: Callable[[str], tuple[Published, ...]] | None = None
    ) -> None:
        """``own`` gives this place's versions of one name with their files; without it the catalogue has them."""
        self._read_own = own or self._registered
        self._key = key
        self._memory = memory
        self._own: dict[str, tuple[Published, ...]] = {}
        self._published = published_versions(self._visible().defer("files"), with_files=False)
        self._shelf = Shelf(
            published=self._published,
            categories=frozenset(Category.objects.filter(retired_at=None).values_list("slug", flat=True)),
            source=key.source,
            artifact=Artifact(has_materials=True),
        )
        self._index()

    def lint(self, folder: BlueprintFolder, digest: str, *, is_attested: bool = False, is_read: bool = False) -> None:
        """Judge a Blueprint among the others: nothing is believed for being signed.

        ``is_attested``: somebody who may answers for the rules that need rendering; all others are judged.
        ``is_read``: a ``WrittenJudge`` of this source found it sound.

        :raises ContractRefused: with every finding that is more than a warning.
        """
        if is_attested:
            return self._lint_written(folder, is_read=is_read)
        name = folder.contract.name
        own = self._versions(name)
        shelf = replace(self._shelf, published=ChainMap({name: own}, self._published)) if own else self._shelf
        if self._memory.is_sound(folder, digest=digest, shelf=shelf):
            return None
        return _refuse(lint_files(bytes_of(folder), shelf=shelf))

    def _lint_written(self, folder: BlueprintFolder, *, is_read: bool) -> None:
        """Judge what is written; lines are only looked for where there is something to say."""
        files = bytes_of(folder)
        subject = Subject(folder.contract, files, self._shelf, {})
        if not is_read or is_refused(place_findings(subject, "", is_sound=True)):
            lines = find_lines(files["blueprint.yaml"])[0]
            _refuse(written_findings(read_subject(folder.contract, files, self._shelf, lines)))

    def add(self, folder: BlueprintFolder, digest: str, *, is_attested: bool = False) -> None:
        """Take in a version that was judged and is about to be registered."""
        name, spec = folder.contract.name, folder.contract.document["spec"]
        known = Published(folder.contract.version, digest, spec)
        if not is_attested:  # else nothing is rendered, and nobody asks for the files of older versions
            self._own[name] = (*self._versions(name), replace(known, files=folder.files))
        self.add_known(name, known)

    def add_known(self, name: str, known: Published) -> None:
        """Let a version without its files stand here."""
        self._published[name] = (*self._published.get(name, ()), known)
        if self._shelf.index is not None:
            self._shelf.index.add(name, known.spec)

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
            self._own = {name: self._read_own(name)}
        return self._own[name]

    def _registered(self, name: str) -> tuple[Published, ...]:
        rows = self._visible().filter(blueprint__name=name, blueprint__source=self._key.source)
        return published_versions(rows, with_files=True).get(name, ())


def _refuse(findings: Iterable[Finding]) -> None:
    refusals = [each for each in findings if not each.is_warning]
    if refusals:
        raise ContractRefused(refusals)


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
