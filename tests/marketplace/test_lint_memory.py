"""``Memory``: what equals something judged before is judged by it, and nothing that breaks a rule ever passes."""

from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from catalyst.core.gitops import helm, kustomize
from marketplace.services.blueprint_contract import read_contract
from marketplace.services.blueprint_folder import BlueprintFolder, digest_of, read_folder
from marketplace.services.blueprint_lint import RULES, Shelf, is_refused
from marketplace.services.blueprint_lint.memory import Memory
from marketplace.services.blueprint_lint.rendering import SIZES, in_namespace, sample_layers, sample_values
from tests.marketplace.chart_cases import CHART_CASES
from tests.marketplace.lint_cases import CASES, Edit
from tests.marketplace.lint_draft import Draft, good

SHIPPED = Path(settings.ROOT) / "blueprints" / "platform"


@pytest.fixture(autouse=True)
def _short_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helm, "CPU_SECONDS", 1)


def folder_of(draft: Draft) -> BlueprintFolder | None:
    """Return the draft as the sync knows it: with a sound contract, or not at all."""
    files = {path: content.decode(errors="replace") for path, content in draft.contents().items()}
    contract, findings = read_contract(files["blueprint.yaml"].encode())
    return None if contract is None or findings else BlueprintFolder(contract, files, digest_of(files))


def judge(memory: Memory, draft: Draft, digest: str = "sha256:it") -> bool:
    folder = folder_of(draft)
    assert folder is not None
    memory.prepare(folder)
    return memory.is_sound(folder, digest=digest, shelf=draft.shelf)


def _cases() -> list[Any]:
    every = [*sorted(CASES.items()), ("BP-M06", CHART_CASES["BP-M06"])]  # of charts nothing is remembered
    return [
        pytest.param(rule, edit, id=f"{rule}-{index}")
        for rule, edits in every
        for index, edit in enumerate(edits)
        if rule != "BP-N02"  # artifacts have no folder that could be called otherwise
    ]


@pytest.mark.parametrize(("rule", "edit"), _cases())
def test_never_passes_what_the_linter_refuses(rule: str, edit: Edit) -> None:
    memory, draft = Memory(), good()
    assert judge(memory, good(), digest="sha256:good")
    edit(draft)

    if folder_of(draft) is not None:
        assert judge(memory, draft) is not is_refused(draft.findings())
        assert RULES[rule].is_warning or not judge(memory, draft)


def test_judges_the_next_version_without_building_anything_again(monkeypatch: pytest.MonkeyPatch) -> None:
    memory, draft = Memory(), good()
    assert judge(memory, draft, digest="sha256:first")
    draft.document["metadata"]["version"] = "1.2.7"
    draft.write("README.md", "# Handbook, once more\n")
    for name in ("build", "build_together"):
        monkeypatch.setattr(kustomize, name, lambda *_args, **_words: pytest.fail("This was built before."))

    assert judge(memory, draft, digest="sha256:second")
    # The control: other manifests are built.
    draft.change("manifests/base/deployment.yaml", "replicas: 1", "replicas: 2")
    with pytest.raises(pytest.fail.Exception, match="built before"):
        judge(memory, draft)


def test_a_test_that_names_the_version_is_asked_for_each_version() -> None:
    memory, draft = Memory(), good()
    version = draft.document["metadata"]["version"]
    label = "/metadata/labels/app.kubernetes.io~1version"
    draft.write(
        "tests/integration.yaml",
        f'cases: [{{name: a, expect: [{{object: Deployment/app, path: {label}, equals: "{version}"}}]}}]\n',
    )
    assert judge(memory, draft)

    draft.document["metadata"]["version"] = "1.2.7"

    assert not judge(memory, draft)


@pytest.mark.parametrize("name", ["gitea", "postgres", "umami"])
def test_one_start_of_kustomize_gives_what_one_for_each_gives(name: str) -> None:
    folder = read_folder(SHIPPED / name)
    files = {path: text.encode() for path, text in folder.files.items()}
    config = sample_values(folder.contract.config_schema)
    trees = [sample_layers(folder.contract, files, size=size, config=config) for size in SIZES]
    names = ["n123456789", "n987654321", "n00000000f"]
    renamed = [in_namespace(tree, name) for tree, name in zip(trees, names, strict=True)]

    together = kustomize.build_together(renamed, namespaces=names)

    assert together == [kustomize.build(tree) for tree in renamed]


def test_trees_that_do_not_build_are_not_told_apart() -> None:
    top = b'apiVersion: "kustomize.config.k8s.io/v1beta1"\nkind: "Kustomization"\nresources: ["a.yaml"]\n'
    role = b"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: app}\n"
    good_tree = {
        "kustomization.yaml": top + b'namespace: "n1"\n',
        "a.yaml": b"apiVersion: v1\nkind: Service\nmetadata: {name: app}\n",
    }

    assert kustomize.build_together([good_tree, {"kustomization.yaml": top}], namespaces=["n1", "n2"]) is None
    assert kustomize.build_together([{**good_tree, "a.yaml": role}], namespaces=["n1"]) is None
    assert kustomize.build_together([good_tree], namespaces=["n1"]) == [kustomize.build(good_tree)]


def test_an_index_says_what_the_shelf_says() -> None:
    shelf = good().shelf

    assert Shelf(published=shelf.published, index=shelf.known()).known() == shelf.known()
    assert shelf.known().named.keys() == {"bpmysql"}
