"""Archives as an attacker writes them."""

import gzip
import io
import tarfile
from typing import Any


def tar_of(*members: tarfile.TarInfo) -> bytes:
    """Write an archive with these headers and as many bytes as each says."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as writer:
        for entry in members:
            writer.addfile(entry, io.BytesIO(b"x" * entry.size))
    return gzip.compress(plain.getvalue())


def member(path: str, kind: bytes = tarfile.REGTYPE, **values: Any) -> tarfile.TarInfo:
    """Make a header."""
    entry = tarfile.TarInfo(path)
    entry.type = kind
    for name, value in values.items():
        setattr(entry, name, value)
    return entry
