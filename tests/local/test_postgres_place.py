import os
from pathlib import Path

import psycopg
import pytest

from catalyst.local.errors import LocalStackError
from catalyst.local.postgres import start_postgres
from catalyst.local.postgres_place import data_folder, server_files, server_user

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="Only root starts Postgres as another user.")


def closed_folder(home: Path) -> Path:
    folder = home / "closed"
    folder.mkdir()
    folder.chmod(0o700)
    return folder


def test_uses_the_folder_itself_where_the_user_can_enter_it(home: Path) -> None:
    user = server_user()
    assert user is not None

    place = data_folder(home / "postgres", user, elsewhere=home / "elsewhere")

    assert place == home / "postgres"
    assert (place.stat().st_uid, place.stat().st_mode & 0o777) == (user.uid, 0o700)
    assert not (home / "elsewhere").exists()


def test_goes_elsewhere_and_leaves_a_link_where_the_user_cannot_enter(home: Path) -> None:
    closed = closed_folder(home)

    place = data_folder(closed / "postgres", server_user(), elsewhere=home / "elsewhere")

    assert place.is_relative_to(home / "elsewhere")
    assert (closed / "postgres").resolve() == place.resolve()
    assert closed.stat().st_mode & 0o777 == 0o700
    assert data_folder(closed / "postgres", server_user(), elsewhere=home / "elsewhere") == place.resolve()


def test_a_copied_link_does_not_share_the_data(home: Path) -> None:
    original, copy = closed_folder(home), home / "copy"
    copy.mkdir(mode=0o700)
    place = data_folder(original / "postgres", server_user(), elsewhere=home / "elsewhere")
    (copy / "postgres").symlink_to(place)

    assert data_folder(copy / "postgres", server_user(), elsewhere=home / "elsewhere") != place.resolve()


def test_refuses_data_that_an_ordinary_user_made(home: Path) -> None:
    folder = home / "postgres"
    (folder / "data").mkdir(parents=True)

    with pytest.raises(LocalStackError, match="holds data of another user"):
        data_folder(folder, server_user(), elsewhere=home / "elsewhere")
    assert folder.stat().st_uid == 0


def test_copies_the_server_when_the_user_cannot_run_the_installed_one(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = server_files(None)
    closed = closed_folder(home)
    for name in (installed.parent.name, f"{installed.parent.name}.libs"):
        (closed / name).symlink_to(installed.parent.with_name(name))
    monkeypatch.syspath_prepend(str(closed))

    files = server_files(server_user(), elsewhere=home / "elsewhere")

    assert files.is_relative_to(home / "elsewhere")
    assert (files / "bin" / "initdb").exists()
    monkeypatch.setattr("catalyst.local.postgres.server_files", lambda user: files)
    server = start_postgres(home / "postgres", log=home / "postgres.log", durable=False)
    try:
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        server.stop()
