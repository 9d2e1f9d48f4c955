"""The Blueprint that is judged: its contract, its files, its manifests as data, and where each thing stands."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Final

from catalyst.core.gitops.yaml import YamlRefused, find_lines, load_counted
from marketplace.services.blueprint_contract import Contract, Finding
from marketplace.services.blueprint_lint.rules import broken
from marketplace.services.blueprint_lint.shelf import Shelf

#: Values in all manifests of a Blueprint together, keys included. The largest that ships has some 1,200.
MAX_VALUES: Final = 20_000


@dataclass(frozen=True, slots=True)
class Source:
    """One YAML document of the manifests. ``lines`` maps paths inside it to lines."""

    file: str
    data: Any
    lines: Mapping[str, int]

    @property
    def is_object(self) -> bool:
        is_mapping = isinstance(self.data, dict) and isinstance(self.data.get("kind"), str)
        return is_mapping and "kustomize.config.k8s.io" not in str(self.data.get("apiVersion"))

    @property
    def identity(self) -> tuple[str, str]:
        metadata = self.data.get("metadata")
        return str(self.data["kind"]), str(metadata.get("name")) if isinstance(metadata, dict) else ""

    def finding(self, rule: str, path: str = "", *, detail: str = "") -> Finding:
        return broken(rule, self.file, path, line=line_of(self.lines, path), detail=detail)


@dataclass(frozen=True, slots=True)
class Subject:
    """``sources`` are the documents below the manifests' folder; what could not be read is in ``unreadable``."""

    contract: Contract
    files: Mapping[str, bytes]
    shelf: Shelf
    lines: Mapping[str, int]
    sources: tuple[Source, ...] = ()
    unreadable: tuple[Finding, ...] = ()
    origins: Mapping[tuple[str, str], Source] = field(default_factory=dict)

    def text(self, path: str) -> str:
        return self.files.get(path, b"").decode(errors="replace")

    def below(self, folder: str) -> dict[str, bytes]:
        prefix = f"{folder.rstrip('/')}/"
        return {path: content for path, content in self.files.items() if path.startswith(prefix)}

    def finding(self, rule: str, path: str, *, detail: str = "") -> Finding:
        """Return a finding at a field of ``blueprint.yaml``."""
        return broken(rule, "blueprint.yaml", path, line=line_of(self.lines, path), detail=detail)

    def about(self, rule: str, item: Mapping[str, Any], path: str = "", *, detail: str = "") -> Finding:
        """Return a finding about a rendered object, at the document that it was made from."""
        kind, name = str(item.get("kind")), str(item["metadata"]["name"])
        origin = self.origins.get((kind, name))
        where = f"{kind}/{name}{path}"
        line = line_of(origin.lines, path.replace("/", ".").strip(".")) if origin else 0
        return broken(rule, origin.file if origin else "", where, line=line, detail=detail)


def read_subject(
    contract: Contract, files: Mapping[str, bytes], shelf: Shelf, lines: Mapping[str, int], *, has_lines: bool = True
) -> Subject:
    """Read the manifests of a Blueprint whose ``blueprint.yaml`` could be read, with the ``lines`` of its fields.

    Whoever only asks whether there are findings says ``has_lines=False``: finding lines is half the work.
    """
    subject = Subject(contract, files, shelf, lines)
    is_plain = contract.manifests is not None and contract.manifests.kind == "Kustomize"
    below = subject.below(contract.manifests_path) if is_plain else {}
    manifests = {path: content for path, content in below.items() if path.endswith((".yaml", ".yml"))}
    readable, unreadable, _is_over = read_manifests(manifests)
    sources: list[Source] = []
    for path, documents in readable.items():
        where = _lines(manifests[path]) if has_lines else [{} for _each in documents]
        sources += [Source(path, data, lines) for data, lines in zip(documents, where, strict=True) if data is not None]
    # Where it is made counts, not where a size changes it: the base comes last and wins.
    ordered = sorted(sources, key=lambda each: "/base/" in each.file)
    origins = {each.identity: each for each in ordered if each.is_object}
    return replace(subject, sources=tuple(sources), unreadable=tuple(unreadable), origins=origins)


def read_manifests(manifests: Mapping[str, bytes]) -> tuple[dict[str, tuple[Any, ...]], list[Finding], bool]:
    """Return the documents of each file, what is no YAML of the safe subset, and whether there is too much of it.

    All files share one budget of values. Who is over it gets no documents back, and nobody looks for their lines:
    what is made to keep us busy costs no more than the budget.
    """
    readable: dict[str, tuple[Any, ...]] = {}
    findings: list[Finding] = []
    left = MAX_VALUES
    for path, content in manifests.items():
        try:
            readable[path], values = _documents(content)
        except YamlRefused as error:
            values = error.values
            findings.append(broken("BP-N04", path, line=error.line, detail=error.message))
        left -= values
        if left < 0:
            return {}, [*findings, broken("BP-N04", path, detail=f"> {MAX_VALUES}")], True
    return readable, findings, False


@lru_cache(maxsize=64)
def _documents(content: bytes) -> tuple[tuple[Any, ...], int]:
    """Return the documents of a file, and how many values they have; whoever gets them only reads.

    Versions that follow each other share most of their files, so these are read once.

    :raises YamlRefused: it is not YAML of the safe subset.
    """
    documents, values = load_counted(content, max_nodes=MAX_VALUES)
    return tuple(documents), values


@lru_cache(maxsize=64)
def _lines(content: bytes) -> tuple[Mapping[str, int], ...]:
    """Return the lines of each document of a file that could be read."""
    return tuple(find_lines(content))


def line_of(lines: Mapping[str, int], path: str) -> int:
    """Return the line of a path, or of the nearest thing around it; 0 when nothing is known."""
    while path and path not in lines:
        path = path.rpartition(".")[0]
    return lines.get(path, 0)


def texts_in(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text of plain data with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict | Mapping):  # the first is quick to tell, and nearly always true
        for key, child in value.items():
            yield from texts_in(child, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from texts_in(child, f"{path}.{index}" if path else str(index))
