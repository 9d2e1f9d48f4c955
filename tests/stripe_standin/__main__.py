"""Run the stand-in as a process: ``python -m tests.stripe_standin --port 8011``; ``control`` says how to steer it."""

import argparse
from threading import Event

from tests.stripe_standin.standin import StripeStandIn


def main() -> None:
    """Serve until interrupted; the first line of output is the address."""
    parser = argparse.ArgumentParser(prog="stripe_standin")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--key", action="append", help="accepted secret key")
    options = parser.parse_args()
    with StripeStandIn(port=options.port, keys=set(options.key) if options.key else None) as standin:
        print(standin.url, flush=True)
        try:
            Event().wait()
        except KeyboardInterrupt:
            print("stopped", flush=True)


if __name__ == "__main__":
    main()
