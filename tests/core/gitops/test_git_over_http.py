"""The real git program clones and fetches through our view; nothing can be pushed, and nothing else is served."""

import gzip
import os
import re
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.http import HttpResponseBase
from django.test import RequestFactory

from catalyst.core.gitops import http_backend
from catalyst.core.gitops.http_backend import serve
from catalyst.core.gitops.message import Person
from catalyst.core.gitops.repository import BareRepository, open_or_create

from .git_server import git_server

WHO = Person("Mona", "1@users.example.om")
UPLOAD = "application/x-git-upload-pack-request"
requests = RequestFactory()


def add_commit(repository: BareRepository, text: str) -> str:
    base = repository.head()
    sha = repository.write_commit(
        base,
        {"README.md": text.encode()},
        allowed=re.compile(r"README\.md"),
        author=WHO,
        committer=WHO,
        message=text,
        when=datetime(2026, 1, 1, tzinfo=UTC),
    )
    repository.update_branch(base, sha)
    return sha


def git(*arguments: str, folder: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    environment |= {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    return subprocess.run(
        ["git", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=check, timeout=60
    )


def body_of(response: HttpResponseBase) -> bytes:
    return b"".join(response)


def body_of_closed(response: HttpResponseBase) -> str:
    try:
        body_of(response)
    except ValueError:
        return "closed"
    return "open"


def has_ended(process_id: int) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{process_id}/stat").read_text().split()[2]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


@pytest.fixture
def repository(tmp_path: Path) -> BareRepository:
    made = open_or_create(tmp_path / "root" / "acme-prod.git")
    add_commit(made, "one")
    return made


@pytest.fixture
def address(repository: BareRepository) -> Iterator[str]:
    with git_server(repository.path.parent) as server:
        yield f"{server}/git/acme-prod.git"


@pytest.mark.parametrize("protocol", ["0", "2"])
def test_clone_then_fetch(repository: BareRepository, address: str, tmp_path: Path, protocol: str) -> None:
    option = f"protocol.version={protocol}"
    git("-c", option, "clone", "-q", address, "copy", folder=tmp_path)
    assert (tmp_path / "copy" / "README.md").read_text() == "one"

    sha = add_commit(repository, "two")
    git("-c", option, "fetch", "-q", folder=tmp_path / "copy")

    assert git("rev-parse", "origin/main", folder=tmp_path / "copy").stdout.strip() == sha
    assert git("fsck", "--strict", folder=tmp_path / "copy").returncode == 0


def test_a_shallow_and_a_blobless_clone_work(repository: BareRepository, address: str, tmp_path: Path) -> None:
    add_commit(repository, "two")

    git("clone", "-q", "--depth", "1", address, "shallow", folder=tmp_path)
    git("clone", "-q", "--no-checkout", "--filter=blob:none", address, "lazy", folder=tmp_path)

    assert git("rev-list", "--count", "HEAD", folder=tmp_path / "shallow").stdout == "1\n"
    assert git("rev-list", "--count", "HEAD", folder=tmp_path / "lazy").stdout == "2\n"


def test_a_long_history_is_fetched_with_a_compressed_request(
    repository: BareRepository, address: str, tmp_path: Path
) -> None:
    git("clone", "-q", address, "copy", folder=tmp_path)
    for number in range(60):
        git(
            *(
                "-c",
                "user.name=x",
                "-c",
                "user.email=x@example.org",
                "commit",
                "-q",
                "--allow-empty",
                "-m",
                str(number),
            ),
            folder=tmp_path / "copy",
        )
    sha = add_commit(repository, "two")

    git("fetch", "-q", folder=tmp_path / "copy")  # the haves are more than 1 KiB, so git compresses them

    assert git("rev-parse", "origin/main", folder=tmp_path / "copy").stdout.strip() == sha


@pytest.mark.asvs("8.2.1")
def test_a_push_is_refused_with_a_sentence(repository: BareRepository, address: str, tmp_path: Path) -> None:
    before = repository.head()
    git("clone", "-q", address, "copy", folder=tmp_path)
    git(
        *("-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-q", "--allow-empty", "-m", "mine"),
        folder=tmp_path / "copy",
    )

    pushed = git("push", "origin", "main", folder=tmp_path / "copy", check=False)

    assert pushed.returncode != 0
    assert "remote: This repository is read-only" in pushed.stderr
    assert repository.head() == before


@pytest.mark.asvs("8.2.1")
def test_the_receive_service_itself_is_refused(repository: BareRepository) -> None:
    request = requests.post("/", data=b"0000", content_type="application/x-git-receive-pack-request")

    assert serve(request, repository.path, "/git-receive-pack", "").status_code == 403


@pytest.mark.asvs("5.3.2")
@pytest.mark.parametrize(
    ("path", "query"),
    [
        *(("/HEAD", ""), ("/config", ""), ("/objects/info/packs", ""), ("/info/refs", ""), ("", ""), ("/", "")),
        *(("/../other.git/info/refs", "service=git-upload-pack"), ("/info/refs", "service=git-upload-archive")),
        *(("/info/refs/../../config", "service=git-upload-pack"), ("/info/refs", "service=git-upload-pack&x=1")),
        *(("/info/refs\n", "service=git-upload-pack"), ("//info/refs", "service=git-upload-pack")),
        *(("/git-upload-pack", ""), ("/git-upload-archive", "")),
    ],
)
def test_serves_nothing_but_the_two_addresses(repository: BareRepository, path: str, query: str) -> None:
    assert serve(requests.get("/"), repository.path, path, query).status_code == 404


def test_refuses_another_content_type(repository: BareRepository) -> None:
    request = requests.post("/", data=b"0000", content_type="application/json")

    assert serve(request, repository.path, "/git-upload-pack", "").status_code == 415


@pytest.mark.asvs("5.2.1")
@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"x" * (http_backend.MAX_REQUEST_BYTES + 1), ""),
        (gzip.compress(b"0" * (http_backend.MAX_INFLATED_BYTES + 1)), "gzip"),
        (b"no gzip", "gzip"),
    ],
)
def test_refuses_a_body_that_is_too_large(repository: BareRepository, body: bytes, encoding: str) -> None:
    request = requests.post("/", data=body, content_type=UPLOAD, HTTP_CONTENT_ENCODING=encoding)

    assert serve(request, repository.path, "/git-upload-pack", "").status_code == 413


def test_a_missing_repository_does_not_answer(tmp_path: Path) -> None:
    (tmp_path / "empty.git").mkdir()

    response = serve(requests.get("/"), tmp_path / "empty.git", "/info/refs", "service=git-upload-pack")

    assert response.status_code == 404


def test_the_repository_of_another_system_user_is_served(repository: BareRepository) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder to somebody else")
    for path in [repository.path, *repository.path.rglob("*")]:
        os.chown(path, 65534, 65534)

    response = serve(requests.get("/"), repository.path, "/info/refs", "service=git-upload-pack")

    assert b"refs/heads/main" in body_of(response)


@pytest.mark.asvs("5.3.2")
def test_no_hook_or_configuration_of_the_repository_runs(repository: BareRepository, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    script = repository.path / "hooks" / "pre-upload"
    script.parent.mkdir(exist_ok=True)
    script.write_text(f"#!/bin/sh\ntouch {canary}\n")
    script.chmod(0o755)
    with (repository.path / "config").open("a") as config:
        config.write(
            f'[uploadpack]\n\tpackObjectsHook = "{script}"\n[http]\n\treceivepack = true\n\tgetanyfile = true\n'
        )
    with git_server(repository.path.parent) as server:
        git("clone", "-q", f"{server}/git/acme-prod.git", "copy", folder=tmp_path)

    assert not canary.exists()


def test_a_program_that_hangs_is_killed_with_its_children(
    repository: BareRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "slow-git"
    slow.write_text(f"#!/bin/sh\nsleep 60 &\necho $! > {tmp_path}/child\nwait\n")
    slow.chmod(0o755)
    monkeypatch.setattr(http_backend, "git_program", lambda: str(slow))
    monkeypatch.setattr(http_backend, "DEADLINE_SECONDS", 0.5)
    started = time.monotonic()

    response = serve(requests.get("/"), repository.path, "/info/refs", "service=git-upload-pack")

    assert response.status_code == 503
    assert time.monotonic() - started < 10
    assert has_ended(int((tmp_path / "child").read_text()))


@pytest.mark.django_db  # closing a response makes Django look at its database connections
# Ending the answer closes the connection, and with it what the test wrote.
@pytest.mark.breaks_invariants
def test_closing_an_unread_answer_ends_the_program(repository: BareRepository) -> None:
    response = serve(requests.get("/"), repository.path, "/info/refs", "service=git-upload-pack")

    response.close()
    response.close()

    assert body_of_closed(response) == "closed"
