"""The entry of the web process: live streams are answered here, all else by Django in a fixed pool of threads."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, cast

from a2wsgi import WSGIMiddleware

# WSGI first: it loads Django, which the streams need.
from catalyst.wsgi import application as wsgi_application

# isort: split
from catalyst.core.http.streams import EventStreams
from tenancy.api.streams import authorize_stream

#: Threads, and so database connections, of one web process.
WEB_THREADS = 16

#: Typed loosely: the two libraries describe the same protocol in types of their own.
_pages: Any = WSGIMiddleware(cast(Any, wsgi_application), workers=WEB_THREADS, send_queue_size=100)
_streams = EventStreams(authorize_stream)


async def application(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """Route one connection."""
    if scope["type"] == "http" and scope["path"].startswith("/events/"):
        await _streams(scope, receive, send)
    else:
        await _pages(scope, receive, send)
