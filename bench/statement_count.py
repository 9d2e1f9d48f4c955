"""Buys once through the whole stack of middleware and API, and prints how many statements that took."""

import json
import sys
import uuid

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from bench.seed_facts import BLUEPRINT, PLAN, PRODUCT, slug, token, voucher_code


def main() -> None:
    """The last Organization buys; the one before it has warmed up what a process does once."""
    _buy(PRODUCT - 1)
    with CaptureQueriesContext(connection) as captured:
        _buy(PRODUCT)
    for query in captured.captured_queries:
        print(" ".join((query["sql"] or "(prepared)").split())[:150], file=sys.stderr)
    print(len(captured))


def _buy(organization: int) -> None:
    client = Client(HTTP_HOST="bench.example")
    answer = client.post(
        f"/api/v1/organizations/{slug(organization)}/checkouts/",
        json.dumps({"plan": PLAN, "blueprints": [BLUEPRINT], "voucher_code": voucher_code(1)}),
        content_type="application/json",
        secure=True,
        headers={"authorization": f"Bearer {token(organization)}", "idempotency-key": uuid.uuid4().hex},
    )
    if answer.status_code != 201:
        raise SystemExit(f"The purchase was refused: {answer.status_code} {answer.content!r}")
