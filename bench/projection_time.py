"""Run inside the product's environment: 10,000 Applications are folded anew, and listed page by page.

They belong to one Organization and stand in 500 Environments for the fold; the list is of one that holds all of them.
"""

import json
import time
from statistics import median
from types import SimpleNamespace
from typing import Any, cast

from django.db import connection

from catalyst.core import outbox
from catalyst.core.models import ProjectorCursor
from catalyst.core.projections import rebuild_projection, run_projectors
from marketplace.models import ApplicationStatus
from marketplace.selectors.applications import list_applications
from tenancy.models import Organization

_ORGANIZATION = 900_000_000
_APPLICATIONS, _PER_ENVIRONMENT, _PAGE = 10_000, 20, 50
_ROUNDS = 15
_LAG_EVENTS = 200

_PUBLISH = """
INSERT INTO core_outbox (dedup_key, topic, stream, payload, sequence, sent_at)
SELECT 'bench:requested:' || n, 'application.requested', 'organization:' || %(organization)s,
  jsonb_build_object('organization_id', %(organization)s::bigint, 'environment', 'bench-prod', 'env_type', 'prod',
    'environment_id', %(organization)s::bigint + n / %(each)s::int, 'change', '', 'order', '',
    'commit', repeat('a', 40),
    'requested_at', '2026-11-24T12:00:00+00:00', 'status', 'installing', 'application', 'app-' || lpad(n::text, 5, '0'),
    'blueprint', 'bp-wordpress', 'title', 'WordPress', 'version', '1.0.0', 'is_service', false, 'url', '',
    'depends_on', '[]'::jsonb),
  (SELECT coalesce(max(sequence), 0) FROM core_outbox) + n + 1, now()
FROM generate_series(0, %(count)s - 1) AS n
"""


def main() -> None:
    said = {"organization": _ORGANIZATION, "each": _PER_ENVIRONMENT, "count": _APPLICATIONS}
    with connection.cursor() as cursor:
        cursor.execute(_PUBLISH, said)
    run_projectors()
    started = time.perf_counter()
    rebuild_projection(name="applications")
    rebuild = time.perf_counter() - started
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE marketplace_applicationstatus")
    first, last = _pages()
    print(json.dumps({"rebuild": rebuild, "first": first, "last": last, "lag": _lag()}))


def _pages() -> tuple[float, float]:
    """Return the milliseconds of the first and of the last page, taken in turns."""
    organization = cast(Organization, SimpleNamespace(pk=_ORGANIZATION))
    rows = list_applications(organization, "prod")
    assert rows.count() == _APPLICATIONS
    before_last = f"app-{_APPLICATIONS - _PAGE - 1:05d}"
    times: dict[str, list[float]] = {"": [], before_last: []}
    for _ in range(_ROUNDS):
        for after, taken in times.items():
            started = time.perf_counter()
            page = list(rows.filter(application__gt=after)[: _PAGE + 1])
            taken.append((time.perf_counter() - started) * 1000)
            assert len(page) >= _PAGE
    return median(times[""]), median(times[before_last])


def _lag() -> float:
    """Return the 95th percentile, in milliseconds, from an event's commit until every projector has folded it."""
    lags = []
    for number in range(_LAG_EVENTS):
        started = time.perf_counter()
        _observe(number)
        outbox.relay_once()
        run_projectors()
        lags.append((time.perf_counter() - started) * 1000)
    assert ProjectorCursor.objects.filter(name="applications").exists()
    assert ApplicationStatus.objects.filter(organization_id=_ORGANIZATION, status="ready").count() == _LAG_EVENTS
    return sorted(lags)[int(_LAG_EVENTS * 0.95)]


def _observe(number: int) -> None:
    payload: dict[str, Any] = {
        "environment": "bench-prod",
        "environment_id": _ORGANIZATION + number // _PER_ENVIRONMENT,
        "application": f"app-{number:05d}",
        "status": "ready",
        "status_reason": "",
        "commit": "a" * 40,
        "seq": 1,
        "is_gone": False,
        "observed_at": "2026-11-24T12:01:00+00:00",
    }
    key = f"bench:observed:{number}"
    outbox.publish(topic="application.observed", key=key, stream=f"organization:{_ORGANIZATION}", payload=payload)
