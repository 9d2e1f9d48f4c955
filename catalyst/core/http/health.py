"""Liveness and readiness, for whatever restarts processes or sends them traffic."""

import logging
from http import HTTPStatus

import redis
from django.db import DatabaseError, InterfaceError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from catalyst.core.http import heartbeat

logger = logging.getLogger(__name__)

#: Processes without which an order is taken but nothing is delivered.
BACKGROUND_PROCESSES = ("worker", "beat", "relay")


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Answer 200 as long as this web process can answer at all."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Answer 200 when the database, Redis and every background process work, else 503 with what fails.

    The names are all an outsider learns; the cause stands in the log.
    """
    failing = [] if _is_database_ready() else ["database"]
    failing += _failing_behind_redis()
    if failing:
        return JsonResponse({"status": "unavailable", "failing": failing}, status=HTTPStatus.SERVICE_UNAVAILABLE)
    return JsonResponse({"status": "ready", "failing": []})


def _is_database_ready() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except (DatabaseError, InterfaceError) as error:
        logger.warning("readyz: the database does not answer: %s", error)
        connection.close()  # the next request tries a new one
        return False
    return True


def _failing_behind_redis() -> list[str]:
    try:
        return [name for name in BACKGROUND_PROCESSES if not heartbeat.is_alive(name)]
    except redis.RedisError as error:
        logger.warning("readyz: Redis does not answer: %s", error)
        return ["redis"]
