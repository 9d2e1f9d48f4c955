"""Secrets of one machine: made once under CATALYST_HOME, readable by their owner only."""

import base64
import os
import secrets
from pathlib import Path


def local_secret(home: Path, name: str) -> str:
    """Return the secret ``name``, making it on first use (32 random bytes, base64).

    Two processes that start together agree: the loser of the race reads what the winner wrote.
    """
    folder = home / "secrets"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / name
    if not path.exists():
        draft = folder / f".{name}.{os.getpid()}.{secrets.token_hex(4)}"
        draft.touch(mode=0o600)
        draft.write_text(base64.b64encode(secrets.token_bytes(32)).decode())
        try:
            os.link(draft, path)  # fails when the other process was first
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text()
