"""A tiny WSGI server that mounts ``serve`` at /git/<name>.git, for the real git program to talk to."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse

from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponseBase

from catalyst.core.gitops.http_backend import serve


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@contextmanager
def git_server(root: Path) -> Iterator[str]:
    """Serve the bare repositories below ``root``; yield the address of the server."""

    def application(environ: dict[str, Any], start_response: StartResponse) -> HttpResponseBase:
        name, _dot, rest = environ["PATH_INFO"].removeprefix("/git/").partition(".git")
        response = serve(WSGIRequest(environ), root / f"{name}.git", rest, environ.get("QUERY_STRING", ""))
        start_response(f"{response.status_code} {response.reason_phrase}", list(response.items()))
        return response

    server = make_server("127.0.0.1", 0, application, server_class=_Server, handler_class=_Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
