"""Which linter this is, so that a judgment made elsewhere is only believed where the same rules made it."""

import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).resolve().parents[2]
#: All that takes part in judging a Blueprint. Data that lies beside the code belongs to it.
_JUDGES: Final = (
    "catalyst/core/gitops/helm.py",
    "catalyst/core/gitops/kustomize.py",
    "catalyst/core/gitops/schemas.py",
    "catalyst/core/gitops/validate.py",
    "catalyst/core/gitops/yaml.py",
    "catalyst/core/names.py",
    "marketplace/manifests",
    "marketplace/selectors/resolver",
    "marketplace/selectors/version_ranges.py",
    "marketplace/services/blueprint_contract",
    "marketplace/services/blueprint_folder.py",
    "marketplace/services/blueprint_lint",
)


@cache
def ruleset() -> str:
    """Return the digest of the code that judges. It changes with every change of it: nobody has to think of a number,
    and what differs without need costs time and no safety.
    """
    known = hashlib.sha256()
    for file in _files():
        known.update(f"{file.relative_to(_ROOT).as_posix()}\n".encode())
        known.update(hashlib.sha256(file.read_bytes()).digest())
    return f"sha256:{known.hexdigest()}"


def _files() -> Iterator[Path]:
    for each in _JUDGES:
        path = _ROOT / each
        found = [path] if path.is_file() else sorted(path.rglob("*"))
        yield from (file for file in found if file.is_file() and "__pycache__" not in file.parts)
