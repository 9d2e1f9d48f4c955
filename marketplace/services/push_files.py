"""The Blueprint folders of a commit that differ from another commit, read within the limits of a Blueprint.

Source: blueprints.md §1 and §6 of the design.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pygit2
from django.utils.translation import gettext as _
from pygit2.enums import FileMode

from catalyst.core.names import BLUEPRINT
from marketplace.models import SourceRepository
from marketplace.services.blueprint_contract import ContractRefused, Finding
from marketplace.services.blueprint_folder import TEXT_SUFFIXES, BlueprintFolder, check_files, folder_name
from marketplace.services.blueprint_lint.rules import broken
from marketplace.services.blueprint_lint.tree import MAX_BYTES, MAX_FILES
from marketplace.services.source_repositories import source_of

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
_MAX_DEPTH: Final = 8


@dataclass(frozen=True, slots=True)
class PushedFolder:
    """One Blueprint's folder. ``place`` is where it stands in its repository: with a slash at its end, or empty."""

    folder: str
    place: str
    files: dict[str, bytes]

    def checked(self, source: str) -> BlueprintFolder:
        """Return it as the catalogue keeps it.

        :raises ContractRefused: it breaks the contract.
        """
        texts = {path: content.decode() for path, content in self.files.items()}
        return check_files(self.folder, texts, source=source)


def changed_folders(row: SourceRepository, *, old: pygit2.Commit | None, new: pygit2.Commit) -> Iterator[PushedFolder]:
    """Yield each Blueprint folder of ``new`` that ``old`` has not, or has with other content.

    :raises ContractRefused: something else stands there, a file that is no plain text, or too much of anything.
    """
    if row.organization_id is None:
        if old is None or old.tree_id != new.tree_id:
            yield PushedFolder(folder_name(row.name, source_of(row)), "", _read(new.tree, ""))
        return
    for entry in new.tree:
        name = str(entry.name)
        if not isinstance(entry, pygit2.Tree) or re.fullmatch(BLUEPRINT, name) is None:
            problem = _("Only folders of Blueprints may stand here, called like the Blueprint.")
            raise ContractRefused([_refusal(name, problem, _("Move it into a folder like bp-wiki."))])
        before = old.tree[name] if old is not None and name in old.tree else None
        if before is None or before.id != entry.id:
            yield PushedFolder(name, f"{name}/", _read(entry, f"{name}/"))


def _read(tree: pygit2.Tree, place: str) -> dict[str, bytes]:
    """Read every file below a folder; each step is bounded before it is taken."""
    files: dict[str, bytes] = {}
    waiting = [("", tree)]
    size = folders = 0
    while waiting:
        prefix, folder = waiting.pop()
        folders += 1
        for entry in folder:
            path = f"{prefix}{entry.name}"
            if not _NAME.fullmatch(str(entry.name)) or path.count("/") > _MAX_DEPTH:
                raise ContractRefused([broken("BP-M06", f"{place}{path}"[:200])])
            if isinstance(entry, pygit2.Tree):
                waiting.append((f"{path}/", entry))
            else:
                content = _plain(entry, f"{place}{path}")
                size += len(content)
                files[path] = content
            if len(files) > MAX_FILES or len(waiting) + folders > MAX_FILES or size > MAX_BYTES:
                raise ContractRefused([_too_much(f"{place}{path}")])
    if len({path.casefold() for path in files}) != len(files):
        raise ContractRefused([broken("BP-M06", place.rstrip("/"))])
    return dict(sorted(files.items()))


def _plain(entry: pygit2.Object, path: str) -> bytes:
    """Return the bytes of a plain text file.

    :raises ContractRefused: a link, a submodule, a program, a picture, or not UTF-8.
    """
    if not isinstance(entry, pygit2.Blob) or entry.filemode != FileMode.BLOB:
        problem = _("This is a link, a submodule, or marked as a program.")
        raise ContractRefused([_refusal(path, problem, _("Push plain files only (mode 100644)."))])
    content = bytes(entry.data)
    if not path.endswith(tuple(TEXT_SUFFIXES)):
        problem = _("Files of this kind cannot be pushed.")
        kinds = _("Remove it, and keep to texts: %(kinds)s.") % {"kinds": ", ".join(sorted(TEXT_SUFFIXES))}
        raise ContractRefused([_refusal(path, problem, kinds)])
    try:
        content.decode()
    except UnicodeDecodeError:
        raise ContractRefused([_refusal(path, _("The file is not UTF-8."), _("Re-encode it."))]) from None
    return content


def _too_much(path: str) -> Finding:
    problem = _("The folder is too large: at most 200 files and 5 MiB.")
    return _refusal(path, problem, _("Remove files."))


def _refusal(path: str, problem: str, fix: str) -> Finding:
    return Finding("BP-M06", "", problem, fix, file=path[:200])
