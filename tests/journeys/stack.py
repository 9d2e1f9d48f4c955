"""The whole of Catalyst as ``make run`` starts it, with a data folder and ports of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from catalyst.local.ports import free_port
from tests.services import temporary_home

ROOT = Path(__file__).resolve().parents[2]
_START_SECONDS = 150
_SERVERS_OF_THE_TESTS = ("DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE", "STRIPE_API_BASE", "MAKELEVEL")


class Stack:
    """A running Catalyst: where it answers, where its e-mails land."""

    def __init__(self, home: Path, port: int) -> None:
        self.home = home
        self.address = f"http://localhost:{port}"

    def newest_mail(self, *containing: str) -> str:
        """Wait for an e-mail with all of these texts and return it."""
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            files = sorted((self.home / "mail").glob("*"), key=lambda file: file.stat().st_mtime, reverse=True)
            for file in files:
                text = file.read_text()
                if all(each in text for each in containing):
                    return text
            time.sleep(0.2)
        raise AssertionError(f"No e-mail says {containing!r}.")

    def sign_in_code(self, email: str) -> str:
        mail = self.newest_mail("is your code", f"To: {email}")
        match = re.search(r"^Subject: (\d{3}) (\d{3}) ", mail, re.MULTILINE)
        assert match is not None
        return match[1] + match[2]

    def manage(self, *arguments: str) -> str:
        """Run a management command on this stack's data."""
        command = [sys.executable, str(ROOT / "manage.py"), *arguments]
        done = subprocess.run(command, env=_environment(self.home), capture_output=True, text=True, check=True)
        return done.stdout


@contextmanager
def running_stack() -> Iterator[Stack]:
    """Start everything, wait until it says that it is ready, stop it afterwards."""
    with temporary_home() as home:
        port = free_port()
        environment = {**_environment(home), "CATALYST_PORT": str(port)}
        log = home / "stack.log"
        with log.open("w") as output:
            program = subprocess.Popen(
                [sys.executable, "-m", "catalyst.local"], cwd=ROOT, env=environment, stdout=output, stderr=output
            )
            try:
                _wait_for_welcome(program, home, log)
                yield Stack(home, port)
            finally:
                program.send_signal(signal.SIGINT)
                program.wait(timeout=30)


def _environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _SERVERS_OF_THE_TESTS}
    return {**kept, "CATALYST_HOME": str(home), "CATALYST_LOG_LEVEL": "WARNING", "PYTHONUNBUFFERED": "1"}


def _wait_for_welcome(program: subprocess.Popen[bytes], home: Path, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if program.poll() is not None:
            raise AssertionError(f"Catalyst did not start:\n{log.read_text()[-3000:]}")
        if "Sign in at" in log.read_text():
            return
        time.sleep(0.2)
    raise AssertionError(f"Catalyst is not ready after {_START_SECONDS} s:\n{log.read_text()[-3000:]}")
