"""The doorbell of live streams: the relay rings, every web process hears.

A lost ring costs latency only: listeners look by themselves after a while.
"""

import asyncio
import contextlib
from collections.abc import Iterator

import redis
import redis.asyncio
import structlog
from django.conf import settings

from catalyst.core.http import heartbeat

CHANNEL = "catalyst:events"
_POLL_SECONDS = 2.0

log = structlog.get_logger(__name__)


def ring(sequence: int) -> None:
    """Say that events up to ``sequence`` are published. Never raises for a Redis that does not answer."""
    try:
        heartbeat.client().publish(CHANNEL, sequence)
    except redis.RedisError:
        heartbeat.client.cache_clear()


class WakeUps:
    """One subscription per process, shared by its streams; while Redis is down, a ring every two seconds."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Event] = set()
        self._task: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def listen(self) -> Iterator[asyncio.Event]:
        """Lend an event that is set at each ring; the last listener that leaves ends the subscription."""
        bell = asyncio.Event()
        self._listeners.add(bell)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())
        try:
            yield bell
        finally:
            self._listeners.discard(bell)
            if not self._listeners and self._task is not None:
                self._task.cancel()
                self._task = None

    async def _run(self) -> None:
        while True:
            try:
                await self._subscribe()
            except (redis.RedisError, OSError) as error:
                log.debug("wakeups_poll", error=str(error))
                self._ring_all()
                await asyncio.sleep(_POLL_SECONDS)

    async def _subscribe(self) -> None:
        client = redis.asyncio.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=_POLL_SECONDS)
        async with client, client.pubsub(ignore_subscribe_messages=True) as subscription:
            await subscription.subscribe(CHANNEL)
            self._ring_all()  # whatever was rung before the subscription stood
            async for _message in subscription.listen():
                self._ring_all()

    def _ring_all(self) -> None:
        for bell in self._listeners:
            bell.set()
