"""Heartbeats of the background processes, in Redis: any web server of any machine can tell who is alive."""

from functools import lru_cache

import redis
from django.conf import settings

#: A process that has not beaten for so long counts as dead; it should beat at least three times as often.
HEARTBEAT_SECONDS = 60

_TIMEOUT_SECONDS = 2.0


def beat(name: str) -> None:
    """Say that the process ``name`` is at work.

    Never raises for a Redis that does not answer: a process that can do its work must not stop for want of a doorbell.
    """
    try:
        client().set(_key(name), "1", ex=HEARTBEAT_SECONDS)
    except redis.RedisError:
        client.cache_clear()


def is_alive(name: str) -> bool:
    """Say whether the process ``name`` has beaten lately, on whatever machine.

    :raises redis.RedisError: Redis does not answer, so nobody knows.
    """
    return bool(client().exists(_key(name)))


@lru_cache(maxsize=1)
def client() -> redis.Redis:
    """Return the client of this process; it keeps a small pool of connections and may be used by several threads."""
    return redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=_TIMEOUT_SECONDS, socket_connect_timeout=_TIMEOUT_SECONDS
    )


def _key(name: str) -> str:
    return f"catalyst:heartbeat:{name}"
