"""``Registry``: it logs in where it must, and a hostile registry gets nothing out of it."""

import gzip
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from marketplace.services.oci.artifact import ArtifactRefused, digest_of
from marketplace.services.oci.registry import LocationRefused, Registry, RegistryUnavailable, read_location, read_login
from tests.marketplace.conftest import RegistryServer, run_registry

_HTPASSWD = "publisher:$2b$05$abcdefghijklmnopqrstuu2sM.EEHj4jPcCa5rwqJGg1PNBllkZXy\n"
_AUTH = 'auth: {{htpasswd: {{realm: test, path: "{home}/htpasswd"}}}}'

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def hostile(answer: Answer) -> Iterator[tuple[str, list[str]]]:
    """Run a server that answers every GET and HEAD and POST so; lends its address and the list of what was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            answer(self)

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


def reply(status: int, body: bytes = b"", **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def test_logs_in_with_user_and_password(tmp_path: Path) -> None:
    (tmp_path / "login").write_text("publisher:a password\n")
    with run_registry(_AUTH, htpasswd=_HTPASSWD) as server:
        registry = Registry(server.host, read_login(tmp_path / "login"))
        registry.push_blob("t/bp-notes", b"content")

        content = registry.blob("t/bp-notes", digest_of(b"content"), size=7)
        with pytest.raises(RegistryUnavailable, match=r"wants another login \(401\)"):
            Registry(server.host).blob("t/bp-notes", digest_of(b"content"), size=7)

    assert content == b"content"


def test_lists_only_the_repositories_directly_in_its_folder(registry_server: RegistryServer) -> None:
    registry = Registry(registry_server.host)
    for repository in ("list/bp-a", "list/bp-b", "list/more/bp-c", "list2/bp-d"):
        registry.push_blob(repository, b"{}")
        registry.push_manifest(repository, "1.0.0", _manifest())

    assert sorted(registry.repositories("list")) == ["bp-a", "bp-b"]


def test_follows_no_redirect() -> None:
    with (
        hostile(reply(200, b"secret")) as (inside, asked),
        hostile(reply(307, Location=f"http://{inside}/admin")) as (outside, _),
    ):
        for read in (
            lambda: Registry(outside).manifest("bp-notes", "1.0.0"),
            lambda: Registry(outside).blob("bp-notes", digest_of(b"secret"), size=6),
            lambda: Registry(outside).tags("bp-notes"),
        ):
            with pytest.raises(RegistryUnavailable, match="answered 307"):
                read()

    assert asked == []


def test_sends_no_upload_to_another_host() -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        status = 404 if handler.command == "HEAD" else 202
        reply(status, Location="http://127.0.0.1:1/upload")(handler)

    with hostile(answer) as (host, _), pytest.raises(RegistryUnavailable, match="another host"):
        Registry(host).push_blob("bp-notes", b"content")


def test_follows_no_page_to_another_host() -> None:
    answer = reply(200, b'{"tags":["1.0.0"]}', Link='<http://127.0.0.1:1/next>; rel="next"')

    with hostile(answer) as (host, _), pytest.raises(RegistryUnavailable, match="another host"):
        list(Registry(host).tags("bp-notes"))


def test_follows_pages_to_an_end() -> None:
    answer = reply(200, b'{"tags":["1.0.0"]}', Link='</v2/x/tags/list?n=1>; rel="next"')

    with hostile(answer) as (host, asked), pytest.raises(RegistryUnavailable, match="does not end"):
        list(Registry(host).tags("bp-notes"))
    assert len(asked) == 100


def test_unpacks_no_compressed_answer() -> None:
    body = gzip.compress(b"\0" * (50 * 1024 * 1024))

    with hostile(reply(200, body, Content_Encoding="gzip")) as (host, _):
        assert Registry(host).manifest("bp-notes", "1.0.0") == body


def test_stops_reading_an_answer_that_does_not_end() -> None:
    sent = [0]

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while sent[0] < 64 * 1024 * 1024:
                handler.wfile.write(b"x" * 65536)
                sent[0] += 65536
        except OSError:
            return

    with hostile(answer) as (host, _), pytest.raises(ArtifactRefused, match="more than 65536 bytes"):
        Registry(host).manifest("bp-notes", "1.0.0")
    assert sent[0] < 64 * 1024 * 1024


@pytest.mark.parametrize(
    "answer", [reply(500), reply(403), reply(206, b"{}"), reply(204)], ids=["500", "403", "206", "204"]
)
def test_an_odd_answer_is_no_answer(answer: Answer) -> None:
    with hostile(answer) as (host, _), pytest.raises(RegistryUnavailable):
        Registry(host).manifest("bp-notes", "1.0.0")


def test_nobody_there_is_no_answer() -> None:
    with pytest.raises(RegistryUnavailable, match="cannot be reached"):
        Registry("127.0.0.1:1").manifest("bp-notes", "1.0.0")


def test_a_host_elsewhere_is_asked_over_https_only() -> None:
    assert Registry("registry.example.om")._base == "https://registry.example.om/"
    assert Registry("127.0.0.1.example.om:80")._base == "https://127.0.0.1.example.om:80/"


def test_reads_a_location() -> None:
    assert str(read_location("registry.example.om:5000/a/b")) == "registry.example.om:5000/a/b"
    assert read_location("registry.example.om").repository("bp-notes") == "bp-notes"


def test_refuses_a_login_file_without_a_login(tmp_path: Path) -> None:
    (tmp_path / "login").write_text("password only\n")

    for file in (tmp_path / "login", tmp_path / "none"):
        with pytest.raises(LocationRefused):
            read_login(file)


def _manifest() -> bytes:
    config = f'{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{digest_of(b"{}")}","size":2}}'
    media_type = "application/vnd.oci.image.manifest.v1+json"
    return f'{{"schemaVersion":2,"mediaType":"{media_type}","config":{config},"layers":[]}}'.encode()
