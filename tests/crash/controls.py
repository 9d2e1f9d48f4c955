"""The wrong ways that the tests must be able to tell from the right one."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any
from unittest import mock

from django.utils import timezone

from billing.api.views import buying
from billing.services import card_credit
from billing.services.checkout import start_checkout
from billing.services.checkout_types import CheckoutOutcome, CheckoutRequest
from billing.services.psp import Processor
from billing.services.wallet import redeem_to_balance
from catalyst.core import outbox
from catalyst.core.models import Delivery
from tests.conftest import owner_connection


@contextmanager
def redeemed_before_the_order() -> Iterator[None]:
    """Use the voucher up in a transaction of its own, then begin with the order: the first generation's way."""

    def redeem_then_order(*, request: CheckoutRequest, now: datetime) -> CheckoutOutcome:
        redeem_to_balance(
            code=request.voucher_code,
            organization=request.organization,
            sovereign=request.sovereign,
            actor=request.buyer,
            address=request.address,
            now=now,
        )
        return start_checkout(request=replace(request, voucher_code=""), now=now)

    with mock.patch.object(buying, "start_checkout", redeem_then_order):
        yield


@contextmanager
def a_new_key_for_every_call() -> Iterator[None]:
    """Ask the processor with a fresh idempotency key each time, the one retry included."""
    right = Processor._write

    def write(self: Processor, op: str, params: dict[str, Any], key: str) -> Callable[[], Any]:
        return lambda: right(self, op, params, uuid.uuid4().hex)()

    with mock.patch.object(Processor, "_write", write):
        yield


@contextmanager
def calls_without_intent() -> Iterator[None]:
    """Ask the processor without having written down that it will be asked."""
    right = Processor._write

    def write(self: Processor, op: str, params: dict[str, Any], key: str) -> Callable[[], Any]:
        with owner_connection() as owner:
            owner.execute("SET session_replication_role = replica")
            owner.execute("DELETE FROM billing_pspcall WHERE idempotency_key = %s", [key])
        return right(self, op, params, key)

    with mock.patch.object(Processor, "_write", write):
        yield


@contextmanager
def done_before_the_effect() -> Iterator[None]:
    """Record that a consumer is done, then let it work."""

    def run(*, delivery_id: int, owner: str) -> bool:
        Delivery.objects.filter(pk=delivery_id).update(
            state=Delivery.State.DONE, done_at=timezone.now(), lease_owner=owner
        )
        delivery = Delivery.objects.select_related("message").get(pk=delivery_id)
        outbox._consumers[delivery.message.topic][delivery.consumer](outbox.as_message(delivery.message))
        return True

    with mock.patch.object(outbox, "run_delivery", run):
        yield


@contextmanager
def a_line_without_a_look() -> Iterator[None]:
    """Send the line of a renewal's credit with a new key, without looking whether the bill has it."""
    with mock.patch.object(card_credit, "_has_line", return_value=False), a_new_key_for_every_call():
        yield
