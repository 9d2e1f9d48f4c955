"""POST /webhooks/stripe/: stored before it is answered, and nothing without a good signature."""

import time
from datetime import timedelta
from typing import Any

import pytest
from celery import Celery
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing.models import Order, StripeEvent
from billing.services.settings import update_billing_settings
from billing.services.stripe_events import sweep_events
from catalyst.core import doorbell, failpoints
from tests.billing.api.calls import Calls, refusal
from tests.billing.shop import Shop

pytestmark = pytest.mark.django_db(transaction=True)

URL = "/webhooks/stripe/"


def _signed(shop: Shop, **signing: Any) -> dict[str, Any]:
    assert shop.standin is not None
    event = shop.standin.build_event("customer.created", {"id": "cus_1", "object": "customer"}, id_="evt_1")
    body, headers = shop.standin.signed(event, **signing)
    return {"data": body, "content_type": "application/json", "headers": headers}


def _post(call: dict[str, Any]) -> Any:
    return Client(enforce_csrf_checks=True).post(URL, **call)


def test_stores_once_and_answers(shop: Shop) -> None:
    call = _signed(shop)

    first, second = _post(call), _post(call)

    assert (first.status_code, second.status_code) == (200, 200)
    event = StripeEvent.objects.get()
    assert (event.pk, event.type, event.object_id, event.state) == ("evt_1", "customer.created", "cus_1", "pending")


def test_stores_every_event_of_a_purchase(shop: Shop) -> None:
    """Among them a subscription, whose amounts the processor's library reads as decimals."""
    shop.buy()
    assert shop.standin is not None
    (session,) = shop.standin.sessions(status="open")
    shop.standin.pay(session["id"])
    events = shop.standin.events()

    for event in events:
        body, headers = shop.standin.signed(event)
        assert _post({"data": body, "content_type": "application/json", "headers": headers}).status_code == 200

    assert "customer.subscription.created" in {event["type"] for event in events}
    assert StripeEvent.objects.count() == len(events)


def test_needs_few_statements(shop: Shop) -> None:
    call = _signed(shop)

    with CaptureQueriesContext(connection) as queries:
        _post(call)

    assert len([query for query in queries if query["sql"] not in ("BEGIN", "COMMIT")]) <= 3


@pytest.mark.parametrize(
    "signing",
    [
        {"secret": "whsec_of_somebody_else"},
        {"timestamp": int((timezone.now() - timedelta(minutes=6)).timestamp())},
    ],
)
def test_refuses_a_bad_signature(signing: dict[str, Any], shop: Shop) -> None:
    assert refusal(_post(_signed(shop, **signing))) == (400, "webhook_signature_invalid")
    assert StripeEvent.objects.count() == 0


def test_refuses_altered_and_missing(shop: Shop) -> None:
    call = _signed(shop)

    assert refusal(_post({**call, "data": call["data"] + b" "})) == (400, "webhook_signature_invalid")
    assert refusal(_post({**call, "headers": {}})) == (400, "webhook_signature_invalid")
    assert Client().get(URL).status_code == 405
    assert StripeEvent.objects.count() == 0


def test_says_when_no_secret_is_stored(shop: Shop) -> None:
    update_billing_settings(changes={"stripe_webhook_secret": None}, actor=shop.staff)

    assert refusal(_post(_signed(shop))) == (503, "webhook_not_configured")
    assert StripeEvent.objects.count() == 0


def test_refuses_a_body_that_is_too_large(shop: Shop, settings: Any) -> None:
    call = _signed(shop)
    settings.WEBHOOK_MAX_BYTES = len(call["data"]) - 1

    assert refusal(_post(call)) == (413, "body_too_large")
    assert StripeEvent.objects.count() == 0


def test_takes_a_body_up_to_the_limit(shop: Shop, settings: Any) -> None:
    """The limit on ordinary forms is smaller and does not count here."""
    call = _signed(shop)
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    settings.WEBHOOK_MAX_BYTES = len(call["data"])

    assert _post(call).status_code == 200


def test_a_broker_that_does_not_answer_loses_nothing(
    shop: Shop, card_buyer: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = card_buyer.buy().json()
    assert shop.standin is not None
    (session,) = shop.standin.sessions(status="open")
    shop.standin.pay(session["id"])
    (event,) = shop.standin.events("checkout.session.completed")
    body, headers = shop.standin.signed(event)
    broken = Celery("broken", broker="redis://127.0.0.1:1/0", set_as_current=False)
    broken.conf.broker_transport_options = {"max_retries": 1, "socket_connect_timeout": 1}
    monkeypatch.setattr(doorbell, "current_app", broken)

    answer = _post({"data": body, "content_type": "application/json", "headers": headers})
    sweep_events(now=timezone.now())

    assert answer.status_code == 200
    assert doorbell._quiet_until > time.monotonic()
    monkeypatch.setattr(doorbell, "_quiet_until", 0.0)
    assert card_buyer.get(f"checkouts/{opened['id']}/").json()["state"] == "completed"
    assert Order.objects.get().state == "paid"


def test_a_crash_after_the_commit_loses_nothing(shop: Shop) -> None:
    call = _signed(shop)

    with failpoints.armed("inbox.store.after_commit", failpoints.crash), pytest.raises(failpoints.Crash):
        _post(call)

    assert StripeEvent.objects.get().state == "pending"
    assert _post(call).status_code == 200
