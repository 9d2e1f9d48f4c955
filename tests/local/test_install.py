import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.local.programs import ROOT

SH = shutil.which("sh") or "/bin/sh"


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A search path with what the script needs of every machine, and nothing else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("awk", "env", "git", "id", "rm"):
        found = shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(found)
    add_program(folder, "df", 'printf "head\\n/dev/disk 9 9 9000000 9%% /\\n"')
    return folder


def add_program(folder: Path, name: str, script: str) -> None:
    (folder / name).unlink(missing_ok=True)
    (folder / name).write_text(f"#!{SH}\n{script}\n")
    (folder / name).chmod(0o755)


def add_debian(folder: Path, *, user_id: int, log: Path) -> None:
    add_program(folder, "apt-get", f'echo "$*" >> {log}')
    add_program(folder, "id", f"echo {user_id}")


def install(programs: Path, *arguments: str, python: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SH, str(ROOT / "catalyst" / "local" / "install.sh"), *arguments],
        cwd=programs.parent,
        env={"PATH": str(programs), "PYTHON": python},
        capture_output=True,
        text=True,
    )


def test_refuses_a_python_that_is_too_old(programs: Path) -> None:
    add_program(programs, "python3", 'if [ "$1" = --version ]; then echo Python 3.9.2; else exit 1; fi')

    done = install(programs, "venv", ".venv", "requirements.txt")

    assert done.returncode == 1
    assert "Python 3.11 or newer is needed; this machine has Python 3.9.2." in done.stderr
    assert not (programs.parent / ".venv").exists()


def test_refuses_a_machine_without_python(programs: Path) -> None:
    done = install(programs, "venv", ".venv", "requirements.txt")

    assert done.returncode == 1
    assert "this machine has no Python 3" in done.stderr


def test_refuses_a_named_python_that_does_not_exist(programs: Path) -> None:
    done = install(programs, "venv", ".venv", "requirements.txt", python="python9")

    assert done.returncode == 1
    assert "PYTHON is python9, and there is no such program." in done.stderr


def test_says_how_much_room_is_missing(programs: Path) -> None:
    (programs / "python3").symlink_to(sys.executable)
    add_program(programs, "df", 'printf "head\\n/dev/disk 9 9 1048576 9%% /\\n"')

    done = install(programs, "venv", ".venv", "requirements.txt")

    assert done.returncode == 1
    assert "1024 MB are free, 2000 MB are needed. Free 976 MB." in done.stderr
    assert not (programs.parent / ".venv").exists()


def test_installs_the_missing_venv_module_as_root(programs: Path) -> None:
    log = programs.parent / "apt.log"
    add_debian(programs, user_id=0, log=log)
    add_program(programs, "python3", PYTHON_WITHOUT_VENV)

    install(programs, "venv", ".venv", "requirements.txt")

    assert "install -y -qq --no-install-recommends python3.11-venv" in log.read_text()


def test_says_how_to_get_the_venv_module_where_it_may_not_install(programs: Path) -> None:
    log = programs.parent / "apt.log"
    add_debian(programs, user_id=1000, log=log)
    add_program(programs, "python3", PYTHON_WITHOUT_VENV)

    done = install(programs, "venv", ".venv", "requirements.txt")

    assert done.returncode == 1
    assert "On Debian: sudo apt-get install python3.11-venv" in done.stderr
    assert not log.exists()


def test_installs_chromium_as_root(programs: Path) -> None:
    log = programs.parent / "apt.log"
    add_debian(programs, user_id=0, log=log)

    assert install(programs, "browser").returncode == 0
    assert log.read_text() == "update -qq\ninstall -y -qq --no-install-recommends chromium\n"


def test_installs_nothing_where_chromium_is_present(programs: Path) -> None:
    log = programs.parent / "apt.log"
    add_debian(programs, user_id=0, log=log)
    add_program(programs, "chromium", "exit 0")

    assert install(programs, "browser").returncode == 0
    assert not log.exists()


def test_says_how_to_get_chromium_where_it_may_not_install(programs: Path) -> None:
    add_debian(programs, user_id=1000, log=programs.parent / "apt.log")

    done = install(programs, "browser")

    assert done.returncode == 1
    assert "the tests need Chromium. On Debian: sudo apt-get install chromium" in done.stderr


#: New enough, but its standard library lacks what Debian packs apart.
PYTHON_WITHOUT_VENV = """
case "$*" in
    *ensurepip*) exit 1 ;;
    *-venv*) echo python3.11-venv ;;
    --version) echo Python 3.11.2 ;;
esac
"""
