"""What shipped Blueprints do in their program's database before anybody gets in, on a real PostgreSQL.

The tables have the shape of the pinned release as far as the scripts touch it; the programs themselves cannot run here.
"""

import json
import os
import shutil
import signal
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings

from catalyst.core.gitops.yaml import load_documents
from catalyst.local.postgres_place import server_files

PLATFORM = Path(settings.ROOT) / "blueprints" / "platform"
PSQL = server_files(None) / "bin" / "psql"
SERVER = os.environ["DATABASE_URL"]
HOSTILE = "it's \\ \"a\" `pass`$(id) %s é'); DROP TABLE users; --"
EMAIL = "It@acme.example"

Rows = Callable[[str], list[tuple[Any, ...]]]


def script(blueprint: str, file: str, name: str) -> str:
    documents = load_documents((PLATFORM / blueprint / "manifests" / "base" / f"{file}.yaml").read_bytes())
    text: str = documents[0]["data"][name]
    return text


@pytest.fixture
def schema() -> Iterator[str]:
    """An empty schema that the scripts meet as their database."""
    name = f"first_{uuid.uuid4().hex}"
    with psycopg.connect(SERVER, autocommit=True) as server:
        server.execute(psycopg.sql.SQL("CREATE SCHEMA {}").format(psycopg.sql.Identifier(name)))
        yield name
        server.execute(psycopg.sql.SQL("DROP SCHEMA {} CASCADE").format(psycopg.sql.Identifier(name)))


@pytest.fixture
def rows(schema: str) -> Iterator[Rows]:
    with psycopg.connect(SERVER, autocommit=True, options=f"-c search_path={schema}") as server:

        def execute(statement: str) -> list[tuple[Any, ...]]:
            cursor = server.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

        yield execute


@pytest.fixture
def environment(schema: str) -> dict[str, str]:
    """What a container of the pod would have around it."""
    return {
        "PATH": f"{PSQL.parent}:{os.environ['PATH']}",
        "PGOPTIONS": f"-c search_path={schema}",
        "DATABASE_URL": SERVER,
        "ADMIN_PASSWORD": HOSTILE,
        "ADMIN_EMAIL": EMAIL,
    }


def run(text: str, environment: Mapping[str, str], **more: str) -> subprocess.CompletedProcess[str]:
    """Run one script as the container does."""
    command = ["psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--file=-", SERVER]
    return subprocess.run(
        command,
        input=text,
        env={**environment, **more},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


LISTMONK = """
CREATE TABLE settings (key text UNIQUE, value jsonb NOT NULL);
CREATE TABLE users (username text, email text UNIQUE, type text, status text);
INSERT INTO settings VALUES ('app.root_url', '"http://localhost:9000"'), ('app.site_name', '"Mailing list"'),
  ('app.from_email', '"listmonk <noreply@listmonk.yoursite.com>"'),
  ('app.notify_emails', '["admin1@mysite.com", "admin2@mysite.com"]');
INSERT INTO users VALUES ('admin', 'admin@listmonk', 'user', 'enabled'), ('robot', NULL, 'api', 'enabled');
"""


def listmonk(environment: Mapping[str, str], **more: str) -> subprocess.CompletedProcess[str]:
    settings_sql = script("listmonk", "database", "settings.sql")
    return run(settings_sql, environment, **{"SITE_URL": "https://news.acme.example", "SITE_TITLE": HOSTILE, **more})


def test_listmonk_learns_its_address_and_loses_the_examples(rows: Rows, environment: dict[str, str]) -> None:
    rows(LISTMONK)

    for _again in range(2):
        result = listmonk(environment)
        assert (result.returncode, result.stderr) == (0, "")

    assert dict(rows("SELECT key, value FROM settings")) == {
        "app.root_url": "https://news.acme.example",
        "app.site_name": HOSTILE,
        "app.from_email": EMAIL,
        "app.notify_emails": [EMAIL],
    }
    assert rows("SELECT email FROM users WHERE username = 'admin'") == [(EMAIL,)]


def test_listmonk_keeps_what_a_person_wrote(rows: Rows, environment: dict[str, str]) -> None:
    rows(LISTMONK)
    rows("UPDATE settings SET value = '\"Acme <news@acme.example>\"' WHERE key = 'app.from_email'")
    rows("UPDATE settings SET value = '[\"boss@acme.example\"]' WHERE key = 'app.notify_emails'")
    rows("UPDATE users SET email = 'boss@acme.example' WHERE username = 'admin'")

    assert listmonk(environment).returncode == 0

    kept: dict[str, Any] = dict(rows("SELECT key, value FROM settings"))
    assert kept["app.from_email"] == "Acme <news@acme.example>"
    assert kept["app.notify_emails"] == ["boss@acme.example"]
    assert rows("SELECT email FROM users WHERE username = 'admin'") == [("boss@acme.example",)]


@pytest.mark.parametrize("change", ["DELETE FROM users WHERE type = 'user'", "UPDATE users SET status = 'disabled'"])
def test_listmonk_never_starts_without_an_account(rows: Rows, environment: dict[str, str], change: str) -> None:
    rows(LISTMONK)
    rows(change)

    result = listmonk(environment)

    assert result.returncode != 0
    assert "made no account" in result.stderr


CAL = """
CREATE TABLE users (id serial PRIMARY KEY, email text);
CREATE TABLE "Feature" (slug text PRIMARY KEY, enabled boolean NOT NULL DEFAULT false);
"""


@pytest.mark.parametrize("before", ["", "INSERT INTO \"Feature\" VALUES ('disable-signup', false)"])
def test_cal_closes_sign_up_and_asks_for_exactly_this_account(
    rows: Rows, environment: dict[str, str], before: str
) -> None:
    rows(CAL + before)

    result = run(script("cal-com", "first-account", "request.sql"), environment)

    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout) == {
        "username": "admin",
        "full_name": "Administrator",
        "email_address": EMAIL,
        "password": HOSTILE,
    }
    assert rows('SELECT * FROM "Feature"') == [("disable-signup", True)]
    assert run(script("cal-com", "first-account", "check.sql"), environment).returncode != 0


def test_cal_asks_for_nothing_once_somebody_is_there(rows: Rows, environment: dict[str, str]) -> None:
    rows(CAL + "INSERT INTO users (email) VALUES ('boss@acme.example')")
    rows("INSERT INTO \"Feature\" VALUES ('disable-signup', false)")

    result = run(script("cal-com", "first-account", "request.sql"), environment)

    assert (result.returncode, result.stdout) == (0, "")
    assert rows('SELECT enabled FROM "Feature"') == [(False,)]
    assert run(script("cal-com", "first-account", "check.sql"), environment).returncode == 0


class Setup(BaseHTTPRequestHandler):
    """Cal.com's set-up request: refuses once while the program comes up, then makes the account."""

    rows: Rows
    asked: list[tuple[str, str | None, Any]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.path, self.headers["Content-Type"], body["password"]))
        if len(self.asked) > 1:
            self.rows("INSERT INTO users (email) VALUES ('made@acme.example')")
        self.send_response(200 if len(self.asked) > 1 else 503)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.mark.skipif(shutil.which("wget") is None, reason="the container has wget; here it is not at hand")
def test_cal_loop_makes_the_account_and_is_ready_only_then(
    rows: Rows, environment: dict[str, str], tmp_path: Path
) -> None:
    rows(CAL)
    asked: list[tuple[str, str | None, Any]] = []
    server = HTTPServer(("127.0.0.1", 0), type("Asked", (Setup,), {"rows": staticmethod(rows), "asked": asked}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name in ("request.sql", "check.sql"):
        (tmp_path / name).write_text(script("cal-com", "first-account", name))
    loop = script("cal-com", "first-account", "loop.sh").replace("/scripts/", f"{tmp_path}/")
    loop = loop.replace("/tmp/request", f"{tmp_path}/request").replace("/tmp/done", f"{tmp_path}/done")
    loop = loop.replace("127.0.0.1:3000", f"127.0.0.1:{server.server_port}").replace("sleep 5", "sleep 0.05")
    ended = loop.replace("while true; do sleep 3600; done", "exit 0")
    process = subprocess.Popen(["sh", "-c", ended], env=environment, start_new_session=True, stderr=subprocess.DEVNULL)

    try:
        assert process.wait(timeout=20) == 0
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        server.shutdown()
        server.server_close()

    assert asked == [("/api/auth/setup", "application/json", HOSTILE)] * 2
    assert (tmp_path / "done").exists()
    assert not (tmp_path / "request.json").exists()


FORMBRICKS = """
CREATE TABLE "User" (id text PRIMARY KEY, created_at timestamp NOT NULL DEFAULT now(), updated_at timestamp NOT NULL,
  email_verified timestamp, name text NOT NULL, email text NOT NULL UNIQUE, password text,
  locale text NOT NULL DEFAULT 'en-US');
CREATE FUNCTION gen_salt(text, integer) RETURNS text LANGUAGE sql AS 'SELECT $1 || $2';
CREATE FUNCTION crypt(text, text) RETURNS text LANGUAGE sql AS 'SELECT $2 || '':'' || $1';
"""


def test_formbricks_gets_one_account_once(rows: Rows, environment: dict[str, str]) -> None:
    whole = script("formbricks", "first-account", "account.sql")
    text = whole.replace("CREATE EXTENSION IF NOT EXISTS pgcrypto;\n", "")
    assert text != whole
    assert 'relation "User" does not exist' in run(text, environment).stderr
    rows(FORMBRICKS)

    for password in (HOSTILE, "another"):
        result = run(text, environment, ADMIN_PASSWORD=password)
        assert (result.returncode, result.stderr) == (0, "")

    found = rows('SELECT name, email, password, email_verified IS NOT NULL, length(id), left(id, 1) FROM "User"')
    assert found == [("Administrator", EMAIL.lower(), f"bf12:{HOSTILE}", True, 25, "c")]


NOCODB = """
CREATE TABLE nc_store (id serial PRIMARY KEY, key varchar(255), value text);
CREATE TABLE nc_users_v2 (id text, roles varchar(255));
"""


def test_nocodb_waits_for_its_administrator_and_closes_sign_up(rows: Rows, environment: dict[str, str]) -> None:
    text = script("nocodb", "invite-only", "close.sql")
    rows(NOCODB + "INSERT INTO nc_users_v2 VALUES ('a', 'org-level-viewer')")

    assert run(text, environment).returncode != 0
    rows("INSERT INTO nc_users_v2 VALUES ('b', 'org-level-creator,super')")
    assert run(text, environment).returncode == 0

    found = rows("SELECT key, value FROM nc_store")
    assert [(key, json.loads(value)) for key, value in found] == [("NC_APP_SETTINGS", {"invite_only_signup": True})]


def test_nocodb_leaves_the_choice_to_its_administrator(rows: Rows, environment: dict[str, str]) -> None:
    rows(NOCODB + "INSERT INTO nc_users_v2 VALUES ('b', 'org-level-creator,super')")
    rows("INSERT INTO nc_store (key, value) VALUES ('NC_APP_SETTINGS', '{\"invite_only_signup\":false}')")

    assert run(script("nocodb", "invite-only", "close.sql"), environment).returncode == 0

    assert rows("SELECT value FROM nc_store") == [('{"invite_only_signup":false}',)]
