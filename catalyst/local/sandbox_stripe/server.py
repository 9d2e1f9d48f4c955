"""The HTTP server: one thread per connection, the API under ``/v1/``, its pages under ``/pay/`` and ``/portal/``."""

import logging
import socket
import struct
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any
from urllib.parse import unquote, urlsplit

from catalyst.local.sandbox_stripe.account import Account
from catalyst.local.sandbox_stripe.api import Api
from catalyst.local.sandbox_stripe.due import run_due
from catalyst.local.sandbox_stripe.pages import PREFIX, answer_page
from catalyst.local.sandbox_stripe.portal import PORTAL, answer_portal
from catalyst.local.sandbox_stripe.wire import ConnectionDropped, Reply, Request, StripeRefusal

logger = logging.getLogger(__name__)

Answer = Callable[[Request], Reply]
_LARGEST_BODY = 1024 * 1024
_TICK = 1.0


def answer_with(account: Account, api: Api) -> Answer:
    """Return the function that answers every request of a sandbox."""

    def answer(request: Request) -> Reply:
        if request.method in ("GET", "POST"):
            if request.path.startswith(PREFIX):
                return answer_page(account, request)
            if request.path.startswith(PORTAL):
                return answer_portal(account, request)
        return api.answer(request)

    return answer


class Server(ThreadingHTTPServer):
    """Listens on the loopback address; knows its connections, so that a stop ends them all."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self.answer: Answer | None = None
        self._connections: set[socket.socket] = set()
        self._lock = Lock()
        super().__init__((host, port), _Handler)

    @property
    def url(self) -> str:
        """Return the address without a trailing slash."""
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}"

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection and remember it."""
        connection, address = super().get_request()
        with self._lock:
            self._connections.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        """Close a connection and forget it."""
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that went away is no error of ours."""
        logger.debug("connection of %s ended early", client_address, exc_info=True)

    def stop(self) -> None:
        """Stop listening and cut every open connection."""
        self.shutdown()
        self.server_close()
        with self._lock:
            for connection in self._connections:
                _cut(connection)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "CatalystSandbox"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Server

    def _handle(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > _LARGEST_BODY:
            self.close_connection = True
            refusal = StripeRefusal("Request body too large.", status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return self._send(refusal.reply())
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, unquote(parts.path), parts.query, headers, self.rfile.read(int(length)))
        assert self.server.answer is not None
        try:
            return self._send(self.server.answer(request))
        except ConnectionDropped as drop:
            self.close_connection = True
            _cut(self.connection, reset=drop.reset)
        except Exception:
            logger.exception("the sandbox failed on %s %s", request.method, request.path)
            error = StripeRefusal("The sandbox has a bug; see its log.", status=500, type_="api_error")
            self._send(error.reply())

    do_GET = do_POST = do_DELETE = _handle  # noqa: N815 - the names that http.server looks for

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, format: str, *args: Any) -> None:
        """Log at debug level: the call log of the tests and the supervisor's output stay readable."""
        logger.debug(format, *args)


def _cut(connection: socket.socket, *, reset: bool = False) -> None:
    try:
        if reset:
            # Linger 0 makes close() send RST instead of FIN.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        else:
            connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        logger.debug("connection was gone already")


class Ticker(Thread):
    """Lets happen by the clock what is due, even when nobody calls: sessions expire, subscriptions renew."""

    def __init__(self, account: Account) -> None:
        super().__init__(name="stripe-sandbox-ticker", daemon=True)
        self._account = account
        self._stopped = Event()

    def run(self) -> None:
        """Look once a second."""
        while not self._stopped.wait(_TICK):
            run_due(self._account)

    def stop(self) -> None:
        """Stop looking."""
        self._stopped.set()
        if self.is_alive():
            self.join(2 * _TICK)
