"""``python -m catalyst.local`` is ``make run``: the whole of Catalyst on one machine, under one supervisor."""

import os
import signal
import sys
import time
from types import FrameType

from catalyst.local.checks import check_disk, check_home, check_port, check_python, claim_home
from catalyst.local.embedded import EmbeddedServer
from catalyst.local.errors import LocalStackError
from catalyst.local.launch import (
    child_environment,
    plan_card_page,
    plan_secret_store,
    prepare,
    start_servers,
    stop_servers,
    wait_until_ready,
    welcome_text,
)
from catalyst.local.stack import (
    PREPARATIONS,
    ROOT,
    Configuration,
    Preparations,
    ProcessTable,
    process_table,
    read_configuration,
)
from catalyst.local.supervisor import Supervisor
from catalyst.local.tether import follow_parent


def main(*, preparations: Preparations = PREPARATIONS, table: ProcessTable = process_table) -> int:
    """Run until asked to stop; return the exit code. The arguments say of what the stack consists."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    if "MAKELEVEL" in os.environ:  # `make` was killed: nobody is left who would stop us
        follow_parent(signal.SIGTERM)
    try:
        check_python()
        configuration = read_configuration()
        check_home(configuration.home)
        with claim_home(configuration.home):
            check_disk(configuration.home)
            check_port(configuration.host, configuration.port)
            _run(configuration, preparations, table)
    except LocalStackError as error:
        print(f"\nCatalyst cannot run: {error}", file=sys.stderr, flush=True)
        return 1
    except (KeyboardInterrupt, BrokenPipeError):
        pass  # asked to stop, or nobody reads our output any more
    print("Catalyst has stopped. Its data stays; `make run` goes on with it.", flush=True)
    return 0


def _run(configuration: Configuration, preparations: Preparations, table: ProcessTable) -> None:
    began = time.monotonic()
    _tell("starting the servers")
    servers = start_servers(configuration.home)
    try:
        environment = child_environment(configuration, servers)
        planned = [plan(configuration, environment) for plan in (plan_card_page, plan_secret_store)]
        stand_ins = [each for each in planned if each is not None]
        for name, arguments in preparations:
            _tell(name)
            prepare(name, arguments, environment)
        supervisor = Supervisor(
            table(configuration, stand_ins),
            environment=environment,
            folder=ROOT,
            logs=configuration.home / "logs",
            servers=servers,
        )
        _supervise(supervisor, configuration, began)
    finally:
        _stop(servers)


def _supervise(supervisor: Supervisor, configuration: Configuration, began: float) -> None:
    _tell("starting the processes")
    try:
        supervisor.start()
        if wait_until_ready(supervisor, configuration):
            print(welcome_text(configuration, seconds=time.monotonic() - began), flush=True)
            supervisor.run()
    finally:
        supervisor.stop()


def _stop(servers: list[EmbeddedServer]) -> None:
    # Whoever presses Ctrl-C again now would only make the next start slower.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    stop_servers(servers)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _tell(text: str) -> None:
    print(f"catalyst: {text} …", flush=True)


if __name__ == "__main__":
    sys.exit(main())
