"""Live streams (server-sent events): the event log of one stream, from any point of the last day on.

Source: WHATWG HTML, "Server-sent events"; the contract stands in docs/gitops.md, "Live status".
"""

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import parse_qs

from django.db import connection
from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError, NotFound
from catalyst.core.http import stream_slots
from catalyst.core.http.problems import CONTENT_TYPE, domain_problem
from catalyst.core.http.stream_log import Authorize, StreamAccess, StreamLog, StreamQuery, ViewFrame, register_view
from catalyst.core.http.wakeups import WakeUps

__all__ = ["EventStreams", "StreamAccess", "StreamQuery", "ViewFrame", "register_view"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_Result = TypeVar("_Result")

_PATH = re.compile(r"/events/organizations/([a-z0-9-]{1,64})/")
_HEARTBEAT_SECONDS = 15.0
_RECHECK_SECONDS = 60.0
_LONGEST_SECONDS = 600.0
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


class MethodRefused(DomainError):
    code = "method_not_allowed"
    status = HTTPStatus.METHOD_NOT_ALLOWED


class EventStreams:
    """The ASGI application below ``/events/``. ``authorize`` says who may read what; it runs in a thread."""

    def __init__(self, authorize: Authorize) -> None:
        self._authorize = authorize
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="events")
        self._wakeups = WakeUps()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = _read_query(scope)
        try:
            slug = _read_path(scope)
            access = await self._in_thread(lambda: self._authorize(query, slug))
            slot = await self._in_thread(lambda: stream_slots.take(access.person, seconds=_LONGEST_SECONDS))
        except DomainError as error:
            await _send_problem(send, error)
            return
        try:
            await self._stream(query, slug, access, receive, send)
        finally:
            await self._in_thread(lambda: stream_slots.give_back(access.person, slot))

    async def _stream(self, query: StreamQuery, slug: str, access: StreamAccess, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        gone = asyncio.ensure_future(_wait_for_disconnect(receive))
        tail = asyncio.ensure_future(self._tail(query, slug, access, send))
        try:
            await asyncio.wait({gone, tail}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            tail.cancel()
        if tail.done() and not tail.cancelled():
            tail.result()
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _tail(self, query: StreamQuery, slug: str, access: StreamAccess, send: Send) -> None:
        log = StreamLog(access, query)
        ends_at = time.monotonic() + _LONGEST_SECONDS
        checks_at = time.monotonic() + _RECHECK_SECONDS
        with self._wakeups.listen() as bell:
            await _send_text(send, "retry: 2000\n" + await self._in_thread(log.start))
            while time.monotonic() < ends_at:
                # Before the rows, so that a stream that never rests is checked too.
                if time.monotonic() >= checks_at:
                    if not await self._is_still_allowed(query, slug):
                        return
                    checks_at = time.monotonic() + _RECHECK_SECONDS
                bell.clear()
                frames = await self._in_thread(log.read)
                if frames:
                    await _send_text(send, frames)
                    continue
                try:
                    await asyncio.wait_for(bell.wait(), _HEARTBEAT_SECONDS)
                except TimeoutError:
                    await _send_text(send, ": still here\n\n")

    async def _is_still_allowed(self, query: StreamQuery, slug: str) -> bool:
        try:
            await self._in_thread(lambda: self._authorize(query, slug))
        except DomainError:
            return False
        return True

    async def _in_thread(self, function: Callable[[], _Result]) -> _Result:
        """Run a short query away from the event loop; its connection is closed at once."""

        def run() -> _Result:
            try:
                return function()
            finally:
                connection.close()

        return await asyncio.get_running_loop().run_in_executor(self._threads, run)


def _read_path(scope: Scope) -> str:
    match = _PATH.fullmatch(scope["path"])
    if match is None:
        raise NotFound(_("Not found."))
    if scope["method"] != "GET":
        raise MethodRefused(_("Streams are read with GET."))
    return match[1]


def _read_query(scope: Scope) -> StreamQuery:
    headers = {name.lower(): value for name, value in scope["headers"]}
    arguments = parse_qs(scope["query_string"].decode("latin-1"))
    after = headers.get(b"last-event-id", b"").decode("latin-1") or arguments.get("after", [""])[0]
    return StreamQuery(
        authorization=headers.get(b"authorization", b""),
        cookies=headers.get(b"cookie", b"").decode("latin-1"),
        after=int(after) if after.isascii() and after.isdigit() and len(after) < 19 else None,
        view=arguments.get("view", [""])[0],
    )


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_text(send: Send, text: str) -> None:
    if text:
        await send({"type": "http.response.body", "body": text.encode(), "more_body": True})


async def _send_problem(send: Send, error: DomainError) -> None:
    document, extra = domain_problem(error)
    headers = {"content-type": CONTENT_TYPE, "cache-control": "no-store", **extra}
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = 'Bearer realm="catalyst"'
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": int(error.status), "headers": raw})
    await send({"type": "http.response.body", "body": json.dumps(document).encode()})
