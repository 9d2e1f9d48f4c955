"""Start the sandbox card page: ``python -m catalyst.local.sandbox_stripe --port 8010``."""

import argparse
import logging
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from catalyst.local.sandbox_stripe.account import Account
from catalyst.local.sandbox_stripe.api import Api
from catalyst.local.sandbox_stripe.clock import Clock
from catalyst.local.sandbox_stripe.server import Server, Ticker, answer_with
from catalyst.local.sandbox_stripe.store import Store
from catalyst.local.sandbox_stripe.webhooks import Courier

logger = logging.getLogger("catalyst.local.sandbox_stripe")

_REFUSED = 2


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="sandbox_stripe", description="Stripe's stand-in: no money moves.")
    parser.add_argument("--port", type=int, required=True, help="port to listen on, 0 for a free one")
    parser.add_argument("--webhook", metavar="URL", default="", help="where events are posted; none without it")
    parser.add_argument("--webhook-secret", metavar="SECRET", default="", help="signs the events (whsec_...)")
    parser.add_argument("--state", metavar="FILE", type=Path, help="SQLite file; in memory without it")
    parser.add_argument("--key", action="append", help="accepted secret key; any test key without it")
    parser.add_argument("--async-delay", type=int, default=15, metavar="SECONDS", help="until 'pay later' is paid")
    return parser.parse_args(argv)


def refuse_production(settings_module: str) -> None:
    """Leave with a clear message when these are the settings of a real shop.

    :raises SystemExit: the settings are the production ones.
    """
    if settings_module == "catalyst.settings.prod" or settings_module.endswith(".prod"):
        print("sandbox_stripe: refused, the settings are the production ones; use Stripe itself.", file=sys.stderr)
        raise SystemExit(_REFUSED)


def main(argv: list[str] | None = None) -> None:
    """Serve until SIGINT or SIGTERM.

    :raises SystemExit: production settings, a webhook without its secret, or a port that is taken.
    """
    refuse_production(os.environ.get("DJANGO_SETTINGS_MODULE", ""))
    options = _arguments(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if options.webhook and not options.webhook_secret:
        raise SystemExit("sandbox_stripe: --webhook needs --webhook-secret.")
    try:
        server = Server(options.port)
    except OSError as error:
        raise SystemExit(f"sandbox_stripe: port {options.port} cannot be used: {error.strerror}.") from None
    account = Account(Store(options.state), Clock(), url=server.url, has_webhook=bool(options.webhook))
    account.async_delay = options.async_delay
    server.answer = answer_with(account, Api(account, set(options.key) if options.key else None))
    background: list[Ticker | Courier] = [Ticker(account)]
    if options.webhook:
        background.append(Courier(account, options.webhook, options.webhook_secret))
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        for thread in background:
            thread.start()
        logger.info("Sandbox card page at %s (no money moves)", server.url)
        server.serve_forever(poll_interval=0.2)
    except KeyboardInterrupt:
        logger.info("Sandbox card page stops")
    finally:
        server.server_close()
        for thread in background:
            thread.stop()
        account.store.close()


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
