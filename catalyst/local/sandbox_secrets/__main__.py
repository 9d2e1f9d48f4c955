"""Start the sandbox secret store: ``python -m catalyst.local.sandbox_secrets --port 8200``."""

import argparse
import logging
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from catalyst.local.sandbox_secrets.kv import KeyValues
from catalyst.local.sandbox_secrets.server import SecretsServer

logger = logging.getLogger("catalyst.local.sandbox_secrets")

_REFUSED = 2


def refuse_production(settings_module: str) -> None:
    """Leave with a clear message when these are the settings of a real Sovereign.

    :raises SystemExit: the settings are the production ones.
    """
    if settings_module.endswith(".prod"):
        print("sandbox_secrets: refused, the settings are the production ones; use OpenBao.", file=sys.stderr)
        raise SystemExit(_REFUSED)


def main(argv: list[str] | None = None) -> None:
    """Serve until SIGINT or SIGTERM. The token comes by the environment: a list of processes shows arguments.

    :raises SystemExit: production settings, no token, or a port that is taken.
    """
    refuse_production(os.environ.get("DJANGO_SETTINGS_MODULE", ""))
    parser = argparse.ArgumentParser(prog="sandbox_secrets", description="A secret store for trying things out.")
    parser.add_argument("--port", type=int, required=True, help="port to listen on, 0 for a free one")
    parser.add_argument("--state", metavar="FILE", type=Path, help="SQLite file; in memory without it")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    token = os.environ.get("SECRET_STORE_TOKEN", "")
    if not token:
        raise SystemExit("sandbox_secrets: SECRET_STORE_TOKEN is empty; whoever knows it may read and write.")
    entries = KeyValues(options.state)
    try:
        server = SecretsServer(options.port, entries, token=token)
    except OSError as error:
        raise SystemExit(f"sandbox_secrets: port {options.port} cannot be used: {error.strerror}.") from None
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        logger.info("Sandbox secret store at %s (not for secrets that matter)", server.url)
        server.serve_forever(poll_interval=0.2)
    except KeyboardInterrupt:
        logger.info("Sandbox secret store stops")
    finally:
        server.server_close()
        entries.close()


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
