"""The card page as ``make run`` starts it: a process that survives its own death and refuses production."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import stripe

from tests.stripe.pages import visit
from tests.stripe.shop import Shop
from tests.stripe_standin import DEFAULT_WEBHOOK_SECRET

ROOT = Path(__file__).parents[2]
SETUP_FEE: Any = {
    "mode": "payment",
    "success_url": "http://127.0.0.1:8000/orders/1/",
    "line_items": [
        {
            "quantity": 1,
            "price_data": {"currency": "omr", "unit_amount": 1000, "product_data": {"name": "Setup"}},
        }
    ],
}


def command(*arguments: str, settings: str = "catalyst.settings.dev") -> subprocess.Popen[str]:
    """Start the sandbox."""
    return subprocess.Popen(
        [sys.executable, "-m", "catalyst.local.sandbox_stripe", *arguments],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": settings},
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the sandbox and find its address in what it says."""
    process = command(*arguments)
    try:
        assert process.stderr is not None
        said = process.stderr.readline()
        match = re.search(r"http://\S+", said)
        assert match, said
        yield process, match[0]
    finally:
        process.kill()
        process.communicate()


def wait_until(is_true: Callable[[], bool]) -> None:
    """Wait up to ten seconds."""
    deadline = time.monotonic() + 10
    while not is_true() and time.monotonic() < deadline:
        time.sleep(0.05)


def connect(url: str) -> stripe.StripeClient:
    """Return the official client."""
    return stripe.StripeClient("sk_test_any", base_addresses={"api": url}, max_network_retries=0)


def test_remembers_after_being_killed(tmp_path: Path) -> None:
    state = str(tmp_path / "run" / "stripe.sqlite3")
    with running("--port", "0", "--state", state) as (process, url):
        options: stripe.RequestOptions = {"idempotency_key": "org:1:customer:1"}
        first = connect(url).v1.customers.create({"email": "buyer@example.om"}, options)
        process.kill()

    with running("--port", "0", "--state", state) as (_, url):
        again = connect(url).v1.customers.create({"email": "buyer@example.om"}, options)
        listed = connect(url).v1.customers.list().data

    assert again.id == first.id
    assert [customer.id for customer in listed] == [first.id]


def test_tells_the_shop_of_a_payment(shop: Shop) -> None:
    arguments = ("--port", "0", "--webhook", shop.url, "--webhook-secret", DEFAULT_WEBHOOK_SECRET)
    with running(*arguments) as (_, url):
        session = connect(url).v1.checkout.sessions.create(SETUP_FEE)
        pressed, _ = visit(str(session.url), "pay")
        wanted = "checkout.session.completed"
        wait_until(lambda: any(wanted in body.decode() and session.id in body.decode() for body, _ in shop.received))

    assert pressed.status == 303
    # A card page of another test may still be telling its own shop, whose port this one has now.
    mine = [got for got in shop.received if session.id.encode() in got[0]]
    events = [stripe.Webhook.construct_event(*got, DEFAULT_WEBHOOK_SECRET) for got in mine]
    told = [event.data.object["id"] for event in events if event.type == wanted]
    assert told == [session.id]


def test_pays_by_itself_when_paying_later() -> None:
    with running("--port", "0", "--async-delay", "0") as (_, url):
        client = connect(url)
        session = client.v1.checkout.sessions.create(SETUP_FEE)
        visit(str(session.url), "later")

        assert client.v1.checkout.sessions.retrieve(session.id).payment_status == "paid"


def test_renews_by_itself_and_tells_the_shop(shop: Shop) -> None:
    arguments = ("--port", "0", "--webhook", shop.url, "--webhook-secret", DEFAULT_WEBHOOK_SECRET)
    with running(*arguments) as (_, url):
        client = connect(url)
        price = {"currency": "omr", "unit_amount": 5_000, "recurring": {"interval": "month"}}
        product = client.v1.products.create({"name": "Plan M"}).id
        customer = client.v1.customers.create({"email": "buyer@example.om"}).id
        items = [{"price_data": {**price, "product": product}}]
        wishes: Any = {"customer": customer, "items": items, "trial_end": int(time.time()) + 2}
        subscription = client.v1.subscriptions.create(wishes).id
        # Nobody asks the sandbox anything from here on.
        wait_until(lambda: any(b"subscription_cycle" in body for body, _ in shop.received))

    events = [stripe.Webhook.construct_event(*got, DEFAULT_WEBHOOK_SECRET) for got in shop.received]
    drafts = [event.data.object for event in events if event.type == "invoice.created"]
    cycles = [draft for draft in drafts if draft["billing_reason"] == "subscription_cycle"]
    assert [draft["parent"]["subscription_details"]["subscription"] for draft in cycles] == [subscription]
    assert [(draft["status"], draft["total"]) for draft in cycles] == [("draft", 5_000)]


def test_stops_cleanly_when_asked() -> None:
    with running("--port", "0") as (process, _):
        process.terminate()

        assert process.wait(10) == 0


def test_refuses_production_settings() -> None:
    process = command("--port", "0", settings="catalyst.settings.prod")

    _, said = process.communicate(timeout=30)

    assert process.returncode == 2
    assert "production" in said


def test_says_that_the_port_is_taken() -> None:
    with running("--port", "0") as (_, url):
        process = command("--port", url.rsplit(":", 1)[1])
        _, said = process.communicate(timeout=30)

    assert process.returncode == 1
    assert "cannot be used" in said


def test_wants_a_secret_for_its_webhook() -> None:
    process = command("--port", "0", "--webhook", "http://127.0.0.1:8000/webhooks/stripe/")

    _, said = process.communicate(timeout=30)

    assert process.returncode == 1
    assert "--webhook-secret" in said


def test_accepts_no_live_key() -> None:
    with running("--port", "0") as (_, url), pytest.raises(stripe.AuthenticationError):
        stripe.StripeClient("sk_live_x", base_addresses={"api": url}, max_network_retries=0).v1.customers.list()


def test_the_stand_in_is_steered_over_http_when_it_is_a_process() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.stripe_standin", "--key", "sk_test_any"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        fault = {"operation": "customers.create", "fault": "drop_after"}
        assert steer(url, "script", **fault) is None
        with pytest.raises(stripe.APIConnectionError):
            connect(url).v1.customers.create({"email": "buyer@example.om"})

        assert steer(url, "effect_count", operation="customers.create") == 1
        assert [row["email"] for row in steer(url, "all", kind="customer")] == ["buyer@example.om"]
    finally:
        process.kill()
        process.communicate()


def steer(url: str, method: str, **arguments: object) -> Any:
    """Call a method of a stand-in that is a process."""
    request = urllib.request.Request(f"{url}/_standin/{method}", json.dumps(arguments).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=10) as reply:
        return json.load(reply)["result"]
