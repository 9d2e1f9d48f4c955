"""What a doomed child does. A job is plain JSON, so that it crosses the pipe to the server."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.utils import timezone
from rest_framework.test import APIClient

from billing.services.refunds import refund_invoice
from tests.crash.controls import redeemed_before_the_order
from tests.life.machinery import MONEY_SWEEPS

Job = Mapping[str, Any]
Answer = dict[str, Any]

#: Older, wrong ways of doing it, for the controls.
WAYS: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "": nullcontext,
    "redeemed_before_the_order": redeemed_before_the_order,
}


def run_job(job: Job) -> Answer:
    """Do the job and return what its caller would have seen."""
    with WAYS[job.get("way", "")]():
        return {"post": post, "refund": refund, "sweep": sweep}[job["do"]](job)


def post(job: Job) -> Answer:
    """Send one POST through the whole stack of the web process."""
    client = APIClient(raise_request_exception=False)
    response = client.post(
        job["path"], job["body"].encode(), content_type="application/json", headers=dict(job["headers"])
    )
    return {"status": response.status_code, "body": response.content.decode()}


def refund(job: Job) -> Answer:
    """Refund as the admin's view would."""
    note = refund_invoice(
        invoice_id=job["invoice"],
        amount_minor=job["amount"],
        reason="Not what they needed",
        actor="staff",
        now=timezone.now(),
        key=job["key"],
    )
    return {"credit_note": note.pk}


def sweep(job: Job) -> Answer:
    """Let beat come round once."""
    for task in MONEY_SWEEPS:
        task()
    return {}
