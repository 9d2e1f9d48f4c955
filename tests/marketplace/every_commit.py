"""Look at every commit of an Environment's repository as Flux would: it builds, and every object is valid."""

import hashlib
from collections.abc import Mapping
from typing import Final

from catalyst.core.gitops import yaml
from catalyst.core.gitops.kustomize import build
from catalyst.core.gitops.message import parse_trailers
from catalyst.core.gitops.repository import BareRepository, Commit
from catalyst.core.gitops.validate import validate_objects
from marketplace.manifests.paths import ALLOWED_PATHS
from marketplace.manifests.reading import read_stated

_LISTS: Final = "kustomization.yaml"
_built: set[bytes] = set()


def check_every_commit(repository: BareRepository) -> list[str]:
    """Check each commit of ours on ``main``; return their Changes, oldest first.

    Folders that were checked before, in another commit, are not built again. A commit that is not ours is passed over.

    :raises AssertionError: with the commit and what is wrong.
    """
    head = repository.head()
    history = list(repository.log_first_parent(head))[::-1] if head else []
    trailers = [(commit, parse_trailers(commit.message)) for commit in history]
    ours = [(commit, said) for commit, said in trailers if "Catalyst-Change" in said]
    assert [said["Catalyst-Seq"] for _commit, said in ours] == [str(each) for each in range(1, len(ours) + 1)]
    assert all(len(commit.parents) <= 1 for commit in history)
    for commit, _said in ours:
        _check_commit(repository, commit)
    changes = [said["Catalyst-Change"] for _commit, said in ours]
    assert len(set(changes)) == len(changes)
    return changes


def _check_commit(repository: BareRepository, commit: Commit) -> None:
    # Refuses links, submodules and executable files by itself.
    files = repository.read_tree(commit.sha)
    strange = [path for path in files if not ALLOWED_PATHS.fullmatch(path)]
    assert strange == [], f"{commit.sha} holds {strange}"
    folders = {path.rpartition("/")[0] for path in files if path.startswith(("apps/", "flux/"))}
    stated = read_stated(files)
    assert folders == {f"apps/{name}" for name in stated} | {"flux"}, f"{commit.sha}: lock and folders disagree"
    for folder in sorted(folders):
        _check_folder(commit, folder, {_name(path): text for path, text in files.items() if _is_in(path, folder)})
    assert yaml.load(files["flux/kustomization.yaml"])["resources"] == [f"{name}.yaml" for name in sorted(stated)]


def _check_folder(commit: Commit, folder: str, files: Mapping[str, bytes]) -> None:
    key = hashlib.sha256(repr(sorted(files.items())).encode()).digest()
    if key in _built:
        return
    listed = yaml.load(files[_LISTS])["resources"]
    assert set(files) - {_LISTS, "application.yaml"} == set(listed), f"{commit.sha} {folder}: {listed}"
    made = build(files) if listed else b""
    wrong = [f"{each.subject}{each.pointer}: {each.message}" for each in validate_objects(made)]
    assert wrong == [], f"{commit.sha} {folder}: {wrong}"
    _built.add(key)


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _is_in(path: str, folder: str) -> bool:
    return path.rpartition("/")[0] == folder
