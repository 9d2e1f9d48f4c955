"""Judging many versions that share most of their bytes: what is equal is read, rendered and judged once.

Here is only ever told that a Blueprint is sound. Whoever hears no asks ``lint_files``, which knows every finding; so
nothing that is remembered can refuse, and no finding comes from memory.
"""

import hashlib
import json
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, TypeVar

from catalyst.core.errors import DomainError
from catalyst.core.gitops import kustomize
from marketplace.services.blueprint_contract import Contract, ContractRefused, Finding, parse_contract
from marketplace.services.blueprint_folder import BlueprintFolder
from marketplace.services.blueprint_lint.card import check_card, check_characters, check_license
from marketplace.services.blueprint_lint.cases import INTEGRATION, TEST_FILES, told_by_cases
from marketplace.services.blueprint_lint.judge import (
    Before,
    is_refused,
    place_findings,
    rendered_findings,
    upgrade_findings,
)
from marketplace.services.blueprint_lint.rendering import (
    SAMPLE_NAMESPACE,
    SIZES,
    Object,
    Renderer,
    RenderFailed,
    in_namespace,
    render_sample,
    sample_layers,
    sample_values,
)
from marketplace.services.blueprint_lint.secrets_in_text import check_secrets
from marketplace.services.blueprint_lint.shelf import Published, Shelf
from marketplace.services.blueprint_lint.sources import check_sources
from marketplace.services.blueprint_lint.subject import Subject, read_subject

#: Parts of ``spec`` that no rendered object depends on.
_BESIDE: Final = frozenset({"card", "owner", "pricing", "upgrades", "deprecated"})
_MOST: Final = 256
#: Enough of a version to find it in a text, also where a label cuts it short.
_VERSION_LETTERS: Final = 20

Files = Mapping[str, bytes]
Value = TypeVar("Value")


class _Recent(OrderedDict[Any, Value]):
    """The last so many answers; each is whole before it is kept, so threads may share them."""

    def remember(self, key: Any, value: Value) -> Value:
        self[key] = value
        if len(self) > _MOST:
            self.popitem(last=False)
        return value


@dataclass(slots=True)
class Memory:
    """What one run has seen so far."""

    _sound: _Recent[bool] = field(default_factory=_Recent)
    _built: _Recent[bytes] = field(default_factory=_Recent)
    _objects: _Recent[tuple[Object, ...]] = field(default_factory=_Recent)
    _before: _Recent[Before] = field(default_factory=_Recent)
    _prepared: _Recent[bool] = field(default_factory=_Recent)

    def is_sound(self, folder: BlueprintFolder, *, digest: str, shelf: Shelf) -> bool:
        """Tell whether nothing refuses this Blueprint, which the shelf will know by ``digest``."""
        contract, files = folder.contract, _bytes_of(folder)
        subject = Subject(contract, files, shelf, {})
        if contract.manifests and contract.manifests.kind != "Kustomize":
            return False  # what only ``lint_files`` can say
        alone = Subject(contract, {"blueprint.yaml": files["blueprint.yaml"]}, shelf, {})
        if any(check_characters(alone)) or any(check_secrets(alone)):
            return False
        if is_refused(place_findings(subject, "", is_sound=True)) or not self._reads_well(subject):
            return False
        render = self._renderer(contract, files)
        if not self._renders_well(subject, render):
            return False
        if is_refused(upgrade_findings(subject, render, self._render_before)):
            return False
        if contract.manifests:
            self._before.remember(digest, render("small", sample_values(contract.config_schema)))
        return True

    def prepare(self, folder: BlueprintFolder) -> None:
        """Let kustomize build all that ``is_sound`` will ask for, at once; what fails here will fail there."""
        contract, files = folder.contract, _bytes_of(folder)
        if contract.manifests is None or contract.manifests.kind != "Kustomize":
            return
        base = _tree_key(contract, files)
        if base in self._prepared:
            return
        self._prepared.remember(base, True)
        config = sample_values(contract.config_schema)
        told = told_by_cases(files.get(INTEGRATION, b""))
        asked = [*((size, config) for size in SIZES), *((size, given) for size, given, _expected in told)]
        trees: dict[Any, tuple[str, dict[str, bytes]]] = {}
        try:
            for size, given in asked:
                tree = sample_layers(contract, files, size=size, config=given)
                # A name as long as the real one, so that no line breaks elsewhere, and that nobody can know before.
                name = f"n{secrets.token_hex(len(SAMPLE_NAMESPACE))[: len(SAMPLE_NAMESPACE) - 1]}"
                trees[_key_of_layers(tree)] = (name, in_namespace(tree, name))
            self._build_together(trees)
        except (DomainError, RenderFailed):
            return

    def _build_together(self, trees: Mapping[Any, tuple[str, dict[str, bytes]]]) -> None:
        names = [name for name, _tree in trees.values()]
        outputs = kustomize.build_together([tree for _name, tree in trees.values()], namespaces=names) if names else []
        for wanted, name, output in zip(trees, names, outputs or (), strict=False):
            self._built.remember(wanted, output.replace(name.encode(), SAMPLE_NAMESPACE.encode()))

    def _reads_well(self, subject: Subject) -> bool:
        """Judge the manifests and the other files apart, because many versions share one of the two."""
        contract, shelf = subject.contract, subject.shelf
        tree = subject.below(contract.manifests_path) if contract.manifests_path else {}
        others = {path: content for path, content in subject.files.items() if path not in tree}
        others.pop("blueprint.yaml")
        spec = {key: value for key, value in contract.document["spec"].items() if key != "upgrades"}
        facts = [contract.name, spec, shelf.source]
        return self._is_known(
            _digest("tree", *facts, sorted(others), files=tree),
            lambda: _tree_findings(read_subject(contract, {**dict.fromkeys(others, b""), **tree}, shelf, {})),
        ) and self._is_known(
            _digest("others", *facts, files=others), lambda: _folder_findings(Subject(contract, others, shelf, {}))
        )

    def _is_known(self, key: str, judge: Callable[[], Iterable[Finding]]) -> bool:
        if key not in self._sound:
            self._sound.remember(key, not is_refused(judge()))
        return self._sound[key]

    def _renders_well(self, subject: Subject, render: Renderer) -> bool:
        contract, files = subject.contract, subject.files
        spec = {key: value for key, value in contract.document["spec"].items() if key not in _BESIDE}
        facts = (_tree_key(contract, files), spec, repr(subject.shelf.artifact))
        key = _digest("render", *facts, files={INTEGRATION: files.get(INTEGRATION, b"")})
        return self._is_known(key, lambda: rendered_findings(subject, render))

    def _renderer(self, contract: Contract, files: Files) -> Renderer:
        base = _tree_key(contract, files)

        def render(size: str, config: Mapping[str, Any]) -> tuple[Object, ...]:
            key = _question(base, size, config)
            found = self._objects.get(key)
            if found is None:
                found = render_sample(contract, files, size=size, config=config, kustomize=self._build)
            return self._objects.remember(key, found)

        return render

    def _build(self, layers: Files) -> bytes:
        return self._built.get(_key_of_layers(layers)) or kustomize.build(layers)

    def _render_before(self, each: Published) -> Before:
        if each.digest not in self._before:
            files = {path: text.encode() for path, text in each.files.items()}
            try:
                old = parse_contract(files.get("blueprint.yaml", b""))
                made: Before = self._renderer(old, files)("small", sample_values(old.config_schema))
            except (ContractRefused, RenderFailed):
                made = None
            self._before.remember(each.digest, made)
        return self._before[each.digest]


def _tree_findings(subject: Subject) -> Iterator[Finding]:
    yield from check_sources(subject)
    yield from check_secrets(subject)
    yield from check_characters(subject)
    yield from check_license(subject)


def _folder_findings(subject: Subject) -> Iterator[Finding]:
    yield from check_card(subject)
    yield from check_secrets(subject)


def _bytes_of(folder: BlueprintFolder) -> dict[str, bytes]:
    return {path: text.encode() for path, text in folder.files.items()}


def _tree_key(contract: Contract, files: Files) -> str:
    """Return the digest of all that the objects are made from.

    The version is left out, though it stands in their labels: unless a test names it, no rule looks there.
    """
    spec = contract.document["spec"]
    facts = [contract.name, [spec.get(key) for key in ("configSchema", "depends", "exposes", "manifests")]]
    tests = [files.get(path, b"") for path in TEST_FILES]
    expected = [expected for content in tests for _size, _config, expected in told_by_cases(content)]
    if contract.version[:_VERSION_LETTERS] in json.dumps(expected):
        facts.append(contract.version)
    prefix = f"{contract.manifests_path}/"
    tree = {path: content for path, content in files.items() if path.startswith(prefix)}
    return _digest("tree", *facts, files=tree)


def _question(base: str, size: str, config: Mapping[str, Any]) -> str:
    return _digest(base, size, config, files={})


def _key_of_layers(layers: Files) -> tuple[tuple[str, bytes], ...]:
    return tuple(sorted(layers.items()))


def _digest(*facts: Any, files: Files) -> str:
    contents = {path: _digest_of(content) for path, content in files.items()}
    return hashlib.sha256(json.dumps([facts, contents], sort_keys=True).encode()).hexdigest()


@lru_cache(maxsize=256)
def _digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
