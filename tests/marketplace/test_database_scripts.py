"""The create step of the shipped PostgreSQL on a real server: a database and a user for each dependent, repeatedly.

MariaDB's twin cannot run here (no server of it is at hand); its text is checked for the same promises.
"""

import json
import os
import subprocess
from collections.abc import Iterator
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
HOSTILE = {"username": 'my-app"; DROP ROLE x; --', "password": "it's \\ a `pass`$(id)\n", "database": "my-app'\"db"}


def script(service: str) -> str:
    documents = load_documents((PLATFORM / service / "manifests" / "base" / "databases.yaml").read_bytes())
    text: str = documents[0]["data"]["create.sql"]
    return text


@pytest.fixture
def entry(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An entry as the platform issues it; what it made is removed afterwards."""
    issued = dict(HOSTILE)
    yield issued
    with psycopg.connect(SERVER, autocommit=True) as server:
        for statement in ("DROP DATABASE IF EXISTS {}", "DROP ROLE IF EXISTS {}"):
            name = issued["database"] if "DATABASE" in statement else issued["username"]
            server.execute(psycopg.sql.SQL(statement).format(psycopg.sql.Identifier(name)))


def create(tmp_path: Path, issued: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """Run the script as the sidecar does."""
    (tmp_path / "issued").write_text(json.dumps(issued))
    (tmp_path / "create.sql").write_text(script("postgres"))
    return subprocess.run(
        [PSQL, "--no-psqlrc", "--quiet", f"--file={tmp_path / 'create.sql'}", SERVER],
        env={"PATH": os.environ["PATH"], "ISSUED_FILE": str(tmp_path / "issued")},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def logged_in(issued: dict[str, str]) -> tuple[str, str]:
    with psycopg.connect(
        SERVER, user=issued["username"], password=issued["password"], dbname=issued["database"]
    ) as connection:
        row = connection.execute("SELECT current_user, current_database()").fetchone()
        assert row is not None
        return row[0], row[1]


def test_makes_a_database_whatever_its_name_and_twice_is_harmless(tmp_path: Path, entry: dict[str, str]) -> None:
    for _again in range(2):
        result = create(tmp_path, entry)
        assert (result.returncode, result.stderr) == (0, "")

    assert logged_in(entry) == (entry["username"], entry["database"])


def test_follows_a_changed_password(tmp_path: Path, entry: dict[str, str]) -> None:
    create(tmp_path, entry)
    with psycopg.connect(SERVER) as server:
        before = server.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", [entry["username"]]).fetchone()

    create(tmp_path, {**entry, "password": "another"})

    with psycopg.connect(SERVER) as server:
        after = server.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", [entry["username"]]).fetchone()
    assert before != after


@pytest.mark.parametrize(
    "change",
    [{"username": "postgres"}, {"username": "pg_monitor"}, {"database": "postgres"}, {"database": "template1"}],
)
def test_never_touches_the_servers_own_accounts(tmp_path: Path, entry: dict[str, str], change: dict[str, str]) -> None:
    result = create(tmp_path, {**entry, **change})

    assert result.returncode != 0
    with psycopg.connect(SERVER) as server:
        made = server.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [entry["username"]]).fetchone()
    assert made is None


@pytest.mark.parametrize("issued", [{}, {"username": "half"}, {"username": None, "database": "x", "password": "y"}])
def test_half_an_entry_makes_nothing(tmp_path: Path, issued: dict[str, Any]) -> None:
    assert create(tmp_path, issued).returncode != 0

    with psycopg.connect(SERVER) as server:
        assert server.execute("SELECT 1 FROM pg_roles WHERE rolname = 'half'").fetchone() is None


def test_mariadb_script_quotes_names_and_protects_its_own() -> None:
    text = script("mysql")

    assert "CREATE DATABASE IF NOT EXISTS" in text
    assert "CREATE USER IF NOT EXISTS" in text
    assert "QUOTE(@secret)" in text
    assert "REPLACE(@database, '`', '``')" in text
    assert "'information_schema'" in text
    assert "'root'" in text
