"""Signed webhooks: the signature, and the thread that delivers queued events until somebody answers 2xx."""

import hashlib
import hmac
import json
import logging
import time
import urllib.error
import urllib.request
from threading import Event, Thread

from catalyst.local.sandbox_stripe.account import Account
from catalyst.local.sandbox_stripe.wire import Json

logger = logging.getLogger(__name__)

_TIMEOUT = 10
_LONGEST_WAIT = 300
_GIVE_UP_AFTER = 40
_IDLE = 0.2


def event_body(event: Json) -> bytes:
    """Return the bytes that are signed and sent."""
    return json.dumps(event, indent=2, ensure_ascii=False).encode()


def sign(body: bytes, secret: str, timestamp: int) -> str:
    """Return the ``Stripe-Signature`` header.

    Source: docs.stripe.com/webhooks, "Verify webhook signatures manually": HMAC-SHA256 of ``timestamp.body``.
    """
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


def post_event(url: str, event: Json, secret: str, timestamp: int) -> int:
    """Post one signed event and return the HTTP status; 0 when nobody answered."""
    body = event_body(event)
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Stripe-Signature": sign(body, secret, timestamp),
        "User-Agent": "Catalyst sandbox (stands in for Stripe)",
    }
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")  # noqa: S310 - configured URL
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as reply:  # noqa: S310 - configured URL
            return int(reply.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


class Courier(Thread):
    """Delivers queued events one after another, with a growing wait after each refusal."""

    def __init__(self, account: Account, url: str, secret: str) -> None:
        super().__init__(name="stripe-sandbox-courier", daemon=True)
        self._account, self._url, self._secret = account, url, secret
        self._stopped = Event()

    def run(self) -> None:
        """Deliver until stopped."""
        while not self._stopped.wait(_IDLE):
            while not self._stopped.is_set() and self.deliver_next():
                pass

    def stop(self) -> None:
        """Stop after the delivery under way."""
        self._stopped.set()
        if self.is_alive():
            self.join(_TIMEOUT + 1)

    def deliver_next(self) -> bool:
        """Try the delivery that is due first; return False when none is."""
        store = self._account.store
        due = store.next_delivery()
        if due is None or due[2] > time.time():
            return False
        event_id, attempts, _ = due
        event = self._account.find("event", event_id)
        status = post_event(self._url, event, self._secret, int(time.time()))
        with store.transaction():
            if 200 <= status < 300:
                store.finish_delivery(event_id)
                self._account.save(event, pending_webhooks=0)
            elif attempts + 1 >= _GIVE_UP_AFTER:
                store.finish_delivery(event_id)
                logger.warning("webhook %s given up after %d attempts", event["type"], attempts + 1)
            else:
                wait = min(2**attempts, _LONGEST_WAIT)
                store.postpone_delivery(event_id, time.time() + wait)
                logger.info("webhook %s answered %d, next attempt in %d s", event["type"], status, wait)
        return True
