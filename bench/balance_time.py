"""Reads the balance of the account with 100,000 entries as every page does, and prints what Postgres needed for it."""

import json
from statistics import median
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

from bench.seed_facts import LONG_CHAIN
from billing.selectors.ledger import get_balance
from tenancy.models import Organization

_TIMES = 200


def main() -> None:
    """Print the median milliseconds of planning and execution.

    :raises SystemExit: the balance took more than one statement, or more than one row was read for it.
    """
    organization = Organization.objects.get(pk=LONG_CHAIN)
    with CaptureQueriesContext(connection) as captured:
        get_balance(organization, currency="OMR")
    statements = [query["sql"] for query in captured.captured_queries]
    if len(statements) != 1:
        raise SystemExit(f"A balance took {len(statements)} statements.")
    plans = [_explain(statements[0]) for _ in range(_TIMES)]
    read = {_rows_read(plan["Plan"]) for plan in plans}
    if read != {1}:
        raise SystemExit(f"A balance read {read} rows.")
    print(median(plan["Execution Time"] for plan in plans))


def _explain(statement: str) -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}")
        answer = cursor.fetchone()[0]
    plans: list[dict[str, Any]] = json.loads(answer) if isinstance(answer, str) else answer
    return plans[0]


def _rows_read(node: dict[str, Any]) -> int:
    """Return the rows that the plan's leaves produced, those that a filter dropped included."""
    below = node.get("Plans") or []
    if below:
        return sum(_rows_read(each) for each in below)
    return int(node["Actual Rows"] * node["Actual Loops"] + node.get("Rows Removed by Filter", 0))
