"""Whatever stands in the files of a Blueprint, the linter answers with findings and never fails itself."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from catalyst.core.gitops.yaml import dump, load_documents
from marketplace.services.blueprint_lint import lint_files
from tests.marketplace.lint_draft import good

ODD: tuple[Any, ...] = (None, [], {}, 7, "x", [None], [{}], {"a": [None]}, True)
FILES = (
    "blueprint.yaml",
    "manifests/base/kustomization.yaml",
    "manifests/base/replacements.yaml",
    "manifests/base/deployment.yaml",
    "manifests/base/others.yaml",
    "tests/integration.yaml",
)


def stand_in(files: Mapping[str, bytes]) -> bytes:
    """Give the objects as they are, in the namespace: hundreds of real builds would take minutes."""
    documents = [each for name in ("deployment", "others") for each in load_documents(files[f"base/{name}.yaml"])]
    for document in documents:
        if isinstance(document, dict) and isinstance(document.get("metadata"), dict):
            document["metadata"]["namespace"] = "dev-sample"
    return b"".join(b"---\n" + dump(each) for each in documents if each is not None)


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield (*path, key)
        yield from places(child, (*path, key))


def with_odd(source: bytes, number: int, place: tuple[Any, ...], odd: Any) -> bytes:
    documents = load_documents(source)
    parent = documents[number]
    for key in place[:-1]:
        parent = parent[key]
    parent[place[-1]] = odd
    return b"".join(b"---\n" + dump(each) for each in documents)


@pytest.mark.parametrize("path", FILES)
def test_answers_odd_values_anywhere(path: str) -> None:
    contents, shelf = good().contents(), good().shelf
    tried = 0

    for number, document in enumerate(load_documents(contents[path])):
        for place in places(document):
            odd = ODD[tried % len(ODD)]
            changed = {**contents, path: with_odd(contents[path], number, place, odd)}
            assert isinstance(lint_files(changed, shelf=shelf, kustomize=stand_in), tuple)
            tried += 1

    assert tried >= 6
