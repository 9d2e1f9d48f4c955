"""At most so many open streams per person, over all web processes, counted in Redis."""

import time
import uuid
from http import HTTPStatus

import redis
from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError
from catalyst.core.http import heartbeat

LIMIT = 4

# Slots of processes that died end by themselves: each is scored with its end.
_TAKE = """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[4]) then return 0 end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[3])
redis.call('PEXPIREAT', KEYS[1], math.floor(tonumber(ARGV[2]) * 1000) + 1000)
return 1
"""


class TooManyStreams(DomainError):
    code = "too_many_streams"
    status = HTTPStatus.TOO_MANY_REQUESTS


def take(person: int, *, seconds: float) -> str:
    """Take a slot; without Redis nobody counts and nobody is refused.

    :raises TooManyStreams: the person has ``LIMIT`` streams open.
    """
    slot, now = uuid.uuid4().hex, time.time()
    try:
        taken = heartbeat.client().eval(_TAKE, 1, _key(person), str(now), str(now + seconds), slot, str(LIMIT))
    except redis.RedisError:
        return slot
    if not taken:
        raise TooManyStreams(_("Too many live pages are open. Close one and try again."), retry_after=10)
    return slot


def give_back(person: int, slot: str) -> None:
    """Free a slot."""
    try:
        heartbeat.client().zrem(_key(person), slot)
    except redis.RedisError:
        heartbeat.client.cache_clear()


def _key(person: int) -> str:
    return f"catalyst:streams:{person}"
