"""The branches on which people ask for Changes; they stand beside ``main`` and are nobody's history.

Whoever moves or drops one holds the repository (``incoming.receiving``), so that none of it happens twice at once.
"""

import re
from pathlib import Path
from typing import Final

import pygit2

_HEADS: Final = "refs/heads/"
#: The names that may be pushed; as ``ChangePreview.branch`` holds them.
CHANGE_BRANCH: Final = re.compile(r"change/[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def list_branches(path: Path) -> dict[str, str]:
    """Return the commit that each of these branches names."""
    repository = _open(path)
    found = {}
    for reference in repository.references.iterator():
        name = reference.name.removeprefix(_HEADS)
        if reference.name.startswith(_HEADS) and CHANGE_BRANCH.fullmatch(name):
            found[name] = str(reference.target)
    return dict(sorted(found.items()))


def drop_branch(path: Path, branch: str) -> None:
    """Take away one of these branches; its objects stay until git collects them. Harmless to repeat."""
    repository = _open(path)
    assert CHANGE_BRANCH.fullmatch(branch)
    if repository.references.get(f"{_HEADS}{branch}") is not None:
        repository.references.delete(f"{_HEADS}{branch}")


def _open(path: Path) -> pygit2.Repository:
    return pygit2.Repository(str(path), pygit2.enums.RepositoryOpenFlag.NO_SEARCH)
