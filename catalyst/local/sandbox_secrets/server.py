"""The HTTP side of the sandbox: ``/v1/<mount>/data|metadata/…``, AppRole login, health, seal; and scripted faults.

Source: OpenBao API, "KV secrets engine - version 2 (API)", "AppRole auth method (API)", "/sys/health", "/sys/seal".
"""

import json
import logging
import secrets
import socket
import struct
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from hmac import compare_digest
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from catalyst.local.sandbox_secrets.kv import CheckFailed, Json, KeyValues

logger = logging.getLogger(__name__)

_LARGEST_BODY = 1024 * 1024
Answer = tuple[int, Json]


class Fault(StrEnum):
    """What goes wrong with one request. ``…AFTER``: it took place, only its answer is lost."""

    ERROR_500 = "error_500"
    RESET_BEFORE = "reset_before"
    DROP_AFTER = "drop_after"
    DENIED = "denied"
    NO_JSON = "no_json"


class SecretsServer(ThreadingHTTPServer):
    """Listens on the loopback address. ``faults`` hit the next writes, one each; ``is_sealed`` locks everything."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int, entries: KeyValues, *, token: str, mount: str = "secret") -> None:
        self.entries, self.token, self.mount = entries, token, mount
        self.roles: dict[str, str] = {}
        self.lent: set[str] = set()
        self.namespaces: list[str] = []
        self.faults: deque[Fault] = deque()
        self.is_sealed = False
        #: Called with the path before each write, for tests that come in between.
        self.before_write: Callable[[str], None] = lambda path: None
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def answer(self, method: str, path: str, headers: dict[str, str], body: Json) -> Answer:
        """Answer one request; ``path`` begins behind ``/v1/``."""
        self.namespaces.append(headers.get("x-vault-namespace", ""))
        if path == "sys/health":
            state = {"initialized": True, "sealed": self.is_sealed, "standby": False}
            return (HTTPStatus.SERVICE_UNAVAILABLE if self.is_sealed else HTTPStatus.OK), state
        if self.is_sealed:
            return HTTPStatus.SERVICE_UNAVAILABLE, {"errors": ["Vault is sealed"]}
        if path == "auth/approle/login" and method == "POST":
            return self._login(body)
        if not self._is_known(headers.get("x-vault-token", "")):
            return HTTPStatus.FORBIDDEN, {"errors": ["permission denied"]}
        if path == "sys/seal" and method in ("POST", "PUT"):
            self.is_sealed = True
            return HTTPStatus.NO_CONTENT, {}
        kind, _slash, place = path.removeprefix(f"{self.mount}/").partition("/")
        if path.startswith(f"{self.mount}/") and kind == "data" and place:
            return self._data(method, place, body)
        if path.startswith(f"{self.mount}/") and kind == "metadata" and method == "LIST":
            names = self.entries.names(f"{place.rstrip('/')}/" if place else "")
            return (HTTPStatus.OK, {"data": {"keys": names}}) if names else (HTTPStatus.NOT_FOUND, {"errors": []})
        return HTTPStatus.NOT_FOUND, {"errors": ["no handler for this route"]}

    def _login(self, body: Json) -> Answer:
        role, secret = str(body.get("role_id")), str(body.get("secret_id"))
        if not compare_digest(self.roles.get(role, ""), secret) or role not in self.roles:
            return HTTPStatus.BAD_REQUEST, {"errors": ["invalid role or secret ID"]}
        token = f"s.{secrets.token_hex(12)}"
        self.lent.add(token)
        return HTTPStatus.OK, {"auth": {"client_token": token, "lease_duration": 3600, "renewable": True}}

    def _is_known(self, token: str) -> bool:
        return token in self.lent or compare_digest(token, self.token)

    def _data(self, method: str, place: str, body: Json) -> Answer:
        if method == "GET":
            found = self.entries.read(place)
            if found is None:
                return HTTPStatus.NOT_FOUND, {"errors": []}
            return (HTTPStatus.OK if found["data"] is not None else HTTPStatus.NOT_FOUND), {"data": found}
        if method == "DELETE":
            self.entries.delete(place)
            return HTTPStatus.NO_CONTENT, {}
        cas, data = (body.get("options") or {}).get("cas"), body.get("data")
        if method not in ("POST", "PUT") or not isinstance(data, dict) or not isinstance(cas, int | None):
            return HTTPStatus.BAD_REQUEST, {"errors": ["no data provided"]}
        self.before_write(place)
        try:
            return HTTPStatus.OK, {"data": self.entries.write(place, data, cas=cas)}
        except CheckFailed:
            said = "check-and-set parameter did not match the current version"
            return HTTPStatus.BAD_REQUEST, {"errors": [said]}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that went away is no error of ours."""
        logger.debug("connection of %s ended early", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "CatalystSandbox"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = -1
    server: SecretsServer

    def _handle(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > _LARGEST_BODY:
            self.close_connection = True
            return self._send(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, b'{"errors": ["too large"]}')
        body = self.rfile.read(int(length))
        path = unquote(urlsplit(self.path).path)
        is_write = self.command in ("POST", "PUT") and "/data/" in path
        fault = self.server.faults.popleft() if is_write and self.server.faults else None
        if fault is Fault.RESET_BEFORE:
            return self._cut()
        if fault is Fault.ERROR_500:
            return self._send(HTTPStatus.INTERNAL_SERVER_ERROR, b'{"errors": ["internal error"]}')
        if fault is Fault.DENIED:
            return self._send(HTTPStatus.FORBIDDEN, b'{"errors": ["permission denied"]}')
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, answer = self.server.answer(self.command, path.removeprefix("/v1/"), headers, _parse(body))
        if fault is Fault.DROP_AFTER:
            return self._cut()
        self._send(status, b"<html>" if fault is Fault.NO_JSON else json.dumps(answer).encode())
        return None

    do_GET = do_POST = do_PUT = do_DELETE = do_LIST = _handle  # noqa: N815 - the names that http.server looks for

    def _send(self, status: int, content: bytes) -> None:
        content = b"" if status == HTTPStatus.NO_CONTENT else content
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _cut(self) -> None:
        # Linger 0 makes close() send RST instead of FIN.
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def log_message(self, format: str, *args: Any) -> None:
        """Log at debug level, and never a body."""
        logger.debug(format, *args)


def _parse(body: bytes) -> Json:
    try:
        parsed = json.loads(body) if body else {}
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
