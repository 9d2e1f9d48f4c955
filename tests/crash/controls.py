"""The wrong ways that the tests must be able to tell from the right one."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any
from unittest import mock

from billing.api.views import buying
from billing.services.checkout import start_checkout
from billing.services.checkout_types import CheckoutOutcome, CheckoutRequest
from billing.services.psp import Processor
from billing.services.wallet import redeem_to_balance


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
    right = Processor._creators

    def creators(self: Processor) -> dict[str, Any]:
        return {op: _with_random_key(method) for op, method in right(self).items()}

    with mock.patch.object(Processor, "_creators", creators):
        yield


def _with_random_key(method: Any) -> Any:
    return lambda params, options: method(params, {**options, "idempotency_key": uuid.uuid4().hex})
