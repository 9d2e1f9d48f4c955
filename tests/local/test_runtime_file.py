import os
import subprocess
import sys
from pathlib import Path

from catalyst.local.runtime import read_services, record_service, runtime_file, service_urls

URL = "postgres://catalyst@127.0.0.1:20001/catalyst"


def test_gives_the_addresses_of_servers_that_are_alive(tmp_path: Path) -> None:
    record_service(tmp_path, "postgres", port=20001, pid=os.getpid(), url=URL)
    record_service(tmp_path, "valkey", port=20002, pid=os.getpid(), url="redis://127.0.0.1:20002/0")

    assert service_urls(tmp_path) == {"DATABASE_URL": URL, "REDIS_URL": "redis://127.0.0.1:20002/0"}


def test_gives_no_address_of_a_server_that_has_ended(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", "pass"])
    record_service(tmp_path, "postgres", port=20001, pid=ended.pid, url=URL)
    ended.wait()

    assert service_urls(tmp_path) == {}


def test_keeps_the_port_of_a_server_that_has_ended(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", "pass"])
    record_service(tmp_path, "postgres", port=20001, pid=ended.pid, url=URL)
    ended.wait()

    assert read_services(tmp_path)["postgres"].port == 20001


def test_is_not_taken_in_by_a_number_that_another_process_got_later(tmp_path: Path) -> None:
    record_service(tmp_path, "postgres", port=20001, pid=os.getpid(), url=URL)
    file = runtime_file(tmp_path)
    started = read_services(tmp_path)["postgres"].started
    file.write_text(file.read_text().replace(started, "another-boot/1"))

    assert service_urls(tmp_path) == {}


def test_says_nothing_when_it_is_missing_or_damaged(tmp_path: Path) -> None:
    assert service_urls(tmp_path) == {}

    runtime_file(tmp_path).parent.mkdir()
    for content in ("", "{", "[]", '{"postgres": 3}', '{"postgres": {"port": 1}}'):
        runtime_file(tmp_path).write_text(content)
        assert service_urls(tmp_path) == {}


def test_leaves_no_draft_behind(tmp_path: Path) -> None:
    record_service(tmp_path, "postgres", port=20001, pid=os.getpid(), url=URL)

    assert [entry.name for entry in (tmp_path / "run").iterdir()] == ["services.json"]


def test_can_be_read_before_there_are_settings(tmp_path: Path) -> None:
    source = (
        "import sys, pathlib, catalyst.local.runtime as r; sys.exit(len(r.service_urls(pathlib.Path(sys.argv[1]))))"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "there.are.none"}

    assert subprocess.run([sys.executable, "-c", source, str(tmp_path)], env=environment).returncode == 0
