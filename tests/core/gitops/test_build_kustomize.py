"""kustomize on files in memory: no network, no git, no way out of its folder, and a deadline."""

import pytest

from catalyst.core.gitops import kustomize

TOP = b"apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [x.yaml]\n"
OBJECT = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n"


def test_builds_files() -> None:
    assert kustomize.build({"kustomization.yaml": TOP, "x.yaml": OBJECT}) == OBJECT


def test_says_why_files_do_not_build() -> None:
    with pytest.raises(kustomize.KustomizeRefused, match=r"x\.yaml"):
        kustomize.build({"kustomization.yaml": TOP})


@pytest.mark.asvs("1.3.6")
def test_finds_no_git_program() -> None:
    top = TOP.replace(b"x.yaml", b"'https://127.0.0.1:9/a/b.git'")

    with pytest.raises(kustomize.KustomizeRefused):
        kustomize.build({"kustomization.yaml": top})


@pytest.mark.asvs("5.3.2")
@pytest.mark.parametrize("path", ["../outside.yaml", "/tmp/outside.yaml", "a/../../outside.yaml"])
def test_refuses_a_path_that_leaves_the_folder(path: str) -> None:
    with pytest.raises(kustomize.KustomizeRefused, match="outside"):
        kustomize.build({"kustomization.yaml": TOP, "x.yaml": OBJECT, path: OBJECT})


def test_gives_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kustomize, "DEADLINE_SECONDS", 0.001)

    with pytest.raises(kustomize.KustomizeUnavailable):
        kustomize.build({"kustomization.yaml": TOP, "x.yaml": OBJECT + b"data: {only: here}\n"})
