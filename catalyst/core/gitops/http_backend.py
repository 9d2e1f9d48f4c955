"""Clone and fetch over smart HTTP through ``git http-backend``; pushing is refused here with a sentence that helps.

The caller has found the repository and checked the reader's rights; nothing of the request but the two fixed path
endings, a service name and a protocol version reaches the program.
"""

import tempfile
import zlib
from collections.abc import Iterator
from functools import cache
from http import HTTPStatus
from pathlib import Path
from shutil import which
from typing import IO, Final

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.translation import gettext as _

from catalyst.core.gitops.process import DEADLINE_SECONDS, Program

MAX_REQUEST_BYTES: Final = 1024 * 1024
MAX_INFLATED_BYTES: Final = 8 * 1024 * 1024
MAX_RESPONSE_BYTES: Final = 512 * 1024 * 1024
MAX_HEADER_BYTES: Final = 16 * 1024

_UPLOAD: Final = "git-upload-pack"
_RECEIVE: Final = "git-receive-pack"
_CHUNK: Final = 64 * 1024
_PROTOCOLS: Final = frozenset({"version=0", "version=1", "version=2"})


def serve(request: HttpRequest, repository_path: Path, path_info: str, query: str) -> HttpResponseBase:
    """Answer one smart HTTP request for the bare repository at ``repository_path``.

    ``path_info`` is what follows the repository's name in the address, with its slash; ``query`` the raw query string.
    Authentication and the choice of the repository are the caller's.

    Source: security.md §6; git's documentation of http-backend.
    """
    if path_info == f"/{_RECEIVE}" or query == f"service={_RECEIVE}":
        return _text(HTTPStatus.FORBIDDEN, _push_refusal())
    is_discovery = request.method == "GET" and path_info == "/info/refs" and query == f"service={_UPLOAD}"
    is_fetch = request.method == "POST" and path_info == f"/{_UPLOAD}" and not query
    if not (is_discovery or is_fetch):
        return _text(HTTPStatus.NOT_FOUND, _("Only git clone and git fetch (smart HTTP) are served here."))
    if is_fetch and request.content_type != f"application/x-{_UPLOAD}-request":
        return _text(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, _("This address is for the git program."))
    with tempfile.TemporaryFile() as body:
        if is_fetch and not _store_body(request, body):
            return _text(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _("The request is too large."))
        return _respond(_start(request, repository_path, path_info, query, body))


def _push_refusal() -> str:
    return _(
        "This repository is read-only: the platform alone writes it. Change the Environment in the console or through "
        "the API; every change arrives here as a commit."
    )


def _text(status: HTTPStatus, message: str) -> HttpResponse:
    # The git program shows plain text of an error to the person, each line after "remote: ".
    return HttpResponse(f"{message}\n", status=status, content_type="text/plain; charset=utf-8")


def _store_body(request: HttpRequest, body: IO[bytes]) -> bool:
    """Write the request's body, inflated, into ``body`` (a file cannot deadlock); False: too large, or no gzip."""
    raw = request.read(MAX_REQUEST_BYTES + 1)
    if len(raw) > MAX_REQUEST_BYTES:
        return False
    if request.headers.get("Content-Encoding", "") in {"gzip", "x-gzip"}:
        inflater = zlib.decompressobj(wbits=31)
        try:
            raw = inflater.decompress(raw, MAX_INFLATED_BYTES)
        except zlib.error:
            return False
        if not inflater.eof:
            return False
    body.write(raw)
    body.seek(0)
    return True


def _start(request: HttpRequest, repository_path: Path, path_info: str, query: str, body: IO[bytes]) -> Program:
    path = str(repository_path)
    settings = {
        "core.hooksPath": str(_empty_folder()),
        # The one repository this program sees is ours by its computed path, whoever owns the files. Its child looks at
        # "." and matches no path, so no narrower value works.
        "safe.directory": "*",
        "http.receivepack": "false",
        "http.getanyfile": "false",
        "http.uploadpack": "true",
        "uploadpack.allowFilter": "true",
        # What we write down for ourselves is nobody's to fetch.
        "uploadpack.hideRefs": "refs/catalyst",
        "uploadpackfilter.tree.maxDepth": "8",
        "transfer.fsckObjects": "true",
        "pack.threads": "1",
    }
    environment = git_environment(settings) | {
        "GIT_PROJECT_ROOT": path,
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": path_info,
        "QUERY_STRING": query,
        "REQUEST_METHOD": request.method or "",
        "CONTENT_TYPE": (request.content_type or "") if request.method == "POST" else "",
        "CONTENT_LENGTH": str(body.seek(0, 2)) if request.method == "POST" else "",
        "REMOTE_ADDR": "",
    }
    body.seek(0)
    protocol = request.headers.get("Git-Protocol", "")
    if protocol in _PROTOCOLS:
        environment["GIT_PROTOCOL"] = protocol
    arguments = [git_program(), "http-backend"]
    return Program(arguments, folder=repository_path, environment=environment, stdin=body, deadline=DEADLINE_SECONDS)


def git_environment(settings: dict[str, str]) -> dict[str, str]:
    """Return the whole environment of a git program: nothing of ours, of the machine or of a person gets in."""
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LC_ALL": "C.UTF-8",
        "HOME": str(_empty_folder()),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "https:ssh",
        "GIT_CONFIG_COUNT": str(len(settings)),
    }
    for number, (key, value) in enumerate(settings.items()):
        environment[f"GIT_CONFIG_KEY_{number}"] = key
        environment[f"GIT_CONFIG_VALUE_{number}"] = value
    return environment


@cache
def git_program() -> str:
    """Return the address of the git program.

    :raises FileNotFoundError: git is not installed.
    """
    found = which("git")
    if found is None:
        raise FileNotFoundError("The git program is not installed.")
    return found


@cache
def _empty_folder() -> Path:
    """Return an empty folder that nobody writes to: no hook, no configuration, whatever the repository says."""
    return Path(__file__).parent / "empty"


def _respond(program: Program) -> HttpResponseBase:
    headers = _read_headers(program.output)
    if headers is None:
        program.finish()
        return _text(HTTPStatus.SERVICE_UNAVAILABLE, _("The repository did not answer; try again in a moment."))
    status = int(headers.pop("status", "200").split(" ", 1)[0])
    content_type = headers.pop("content-type", "application/octet-stream")
    response = StreamingHttpResponse(_Output(program), status=status, content_type=content_type)
    for name in ("expires", "pragma", "cache-control"):
        if name in headers:
            response[name] = headers[name]
    return response


def _read_headers(output: IO[bytes]) -> dict[str, str] | None:
    headers: dict[str, str] = {}
    size = 0
    while (line := output.readline(MAX_HEADER_BYTES)) not in {b"\r\n", b"\n"}:
        size += len(line)
        name, colon, value = line.decode("latin-1").partition(":")
        if not line or not colon or size > MAX_HEADER_BYTES:
            return None
        headers[name.strip().lower()] = value.strip()
    return headers


class _Output:
    """What the program still has to say. Closing it, also before the first byte was read, ends the program."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._sent = 0

    def __iter__(self) -> Iterator[bytes]:
        try:
            while chunk := self._program.output.read1(_CHUNK):  # type: ignore[attr-defined]
                self._sent += len(chunk)
                if self._sent > MAX_RESPONSE_BYTES:
                    break
                yield chunk
        finally:
            self.close()

    def close(self) -> None:
        self._program.finish()
