import json
import os
import signal
import time
from pathlib import Path

import pytest

from catalyst.local.errors import LocalStackError
from catalyst.local.processes import ProcessSpec
from catalyst.local.supervisor import Supervisor
from tests.local.programs import are_gone, becomes_true, kill_hard, read_line, running

SUPERVISE = """
    import json, os, sys
    from pathlib import Path
    from catalyst.local.errors import LocalStackError
    from catalyst.local.processes import ProcessSpec
    from catalyst.local.supervisor import Supervisor
    table = [ProcessSpec(name, [sys.executable, "-u", "-c", source], restartable)
             for name, source, restartable in json.loads(sys.argv[2])]
    supervisor = Supervisor(table, environment=os.environ, folder=Path(sys.argv[1]), logs=Path(sys.argv[1]) / "logs")
    try:
        supervisor.start()
        supervisor.run()
    except LocalStackError as error:
        print("REFUSED:", str(error).replace(chr(10), " / "))
    finally:
        supervisor.stop()
        print("STOPPED")
"""
POLITE = "import os, time; print('pid', os.getpid()); time.sleep(120)"
STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('pid', os.getpid())
time.sleep(120)
"""
WITH_CHILD = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(120)'])
print('pid', os.getpid(), child.pid)
time.sleep(120)
"""
DYING = "import sys, time; print('the reason'); time.sleep(0.1); sys.exit(3)"


def table(*rows: tuple[str, str, bool]) -> str:
    return json.dumps(rows)


def pids_of(line: str) -> list[int]:
    return [int(word) for word in line.split("pid")[1].split()]


def test_stops_every_process_when_asked(tmp_path: Path) -> None:
    with running(SUPERVISE, str(tmp_path), table(("one", POLITE, True), ("two", POLITE, False))) as supervisor:
        pids = pids_of(read_line(supervisor, "pid")) + pids_of(read_line(supervisor, "pid"))
        supervisor.send_signal(signal.SIGTERM)

        read_line(supervisor, "STOPPED")
        assert are_gone(pids)
        assert supervisor.wait(timeout=5) == 0


def test_kills_within_ten_seconds_what_does_not_stop(tmp_path: Path) -> None:
    with running(SUPERVISE, str(tmp_path), table(("mule", STUBBORN, True))) as supervisor:
        pids = pids_of(read_line(supervisor, "pid"))
        began = time.monotonic()
        supervisor.send_signal(signal.SIGINT)

        read_line(supervisor, "mule did not stop in time and was killed")
        read_line(supervisor, "STOPPED")
        assert time.monotonic() - began < 10
        assert are_gone(pids)


def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    with running(SUPERVISE, str(tmp_path), table(("mule", STUBBORN, True))) as supervisor:
        pids = pids_of(read_line(supervisor, "pid"))
        began = time.monotonic()
        supervisor.send_signal(signal.SIGINT)
        time.sleep(0.5)
        supervisor.send_signal(signal.SIGINT)

        read_line(supervisor, "STOPPED")
        assert time.monotonic() - began < 4
        assert are_gone(pids)


def test_leaves_no_child_of_a_process_behind(tmp_path: Path) -> None:
    with running(SUPERVISE, str(tmp_path), table(("parent", WITH_CHILD, True))) as supervisor:
        pids = pids_of(read_line(supervisor, "pid"))
        assert len(pids) == 2
        supervisor.send_signal(signal.SIGTERM)

        read_line(supervisor, "STOPPED")
        assert becomes_true(lambda: are_gone(pids), within=2)


def test_leaves_no_orphan_when_it_is_killed(tmp_path: Path) -> None:
    with running(SUPERVISE, str(tmp_path), table(("one", POLITE, True), ("mule", STUBBORN, True))) as supervisor:
        pids = pids_of(read_line(supervisor, "pid")) + pids_of(read_line(supervisor, "pid"))
        kill_hard(supervisor.pid)

        assert becomes_true(lambda: are_gone(pids))


def test_names_the_process_without_which_nothing_works_and_stops_the_others(tmp_path: Path) -> None:
    with running(SUPERVISE, str(tmp_path), table(("other", POLITE, True), ("web", DYING, False))) as supervisor:
        pids = pids_of(read_line(supervisor, "pid"))

        refusal = read_line(supervisor, "REFUSED")
        assert "web ended with exit code 3. Its last lines: / the reason" in refusal
        read_line(supervisor, "STOPPED")
        assert are_gone(pids)


def test_starts_a_killed_worker_again(tmp_path: Path) -> None:
    with running(SUPERVISE, str(tmp_path), table(("worker", POLITE, True))) as supervisor:
        first = pids_of(read_line(supervisor, "pid"))
        kill_hard(first[0])

        read_line(supervisor, "worker was killed by SIGKILL")
        read_line(supervisor, "It is started again.")
        second = pids_of(read_line(supervisor, "pid"))
        assert second != first
        supervisor.send_signal(signal.SIGTERM)
        read_line(supervisor, "STOPPED")
        assert are_gone(second)


def test_gives_up_on_a_worker_that_dies_again_and_again(tmp_path: Path) -> None:
    with running(SUPERVISE, str(tmp_path), table(("worker", DYING, True))) as supervisor:
        for _ in range(3):
            read_line(supervisor, "It is started again.")

        assert "worker ended with exit code 3" in read_line(supervisor, "REFUSED")


def test_prefixes_each_line_and_keeps_it_in_a_file(tmp_path: Path) -> None:
    source = "import sys, time; print('to out'); print('to err', file=sys.stderr); time.sleep(120)"
    with running(SUPERVISE, str(tmp_path), table(("relay", source, True))) as supervisor:
        assert read_line(supervisor, "to out") == "relay    | to out"
        assert read_line(supervisor, "to err") == "relay    | to err"

    assert (tmp_path / "logs" / "relay.log").read_text() == "to out\nto err\n"


def test_says_when_a_program_does_not_exist(tmp_path: Path) -> None:
    supervisor = Supervisor(
        [ProcessSpec("ghost", [str(tmp_path / "ghost")])], environment=os.environ, folder=tmp_path, logs=tmp_path
    )
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        with pytest.raises(LocalStackError, match="ghost could not be started"):
            supervisor.start()
    finally:
        supervisor.stop()
        for number, handler in previous.items():
            signal.signal(number, handler)


def test_hands_its_table_name_to_each_process(tmp_path: Path) -> None:
    source = "import os, time; print('I am', os.environ['CATALYST_PROCESS']); time.sleep(120)"
    with running(SUPERVISE, str(tmp_path), table(("beat", source, True))) as supervisor:
        assert read_line(supervisor, "I am") == "beat     | I am beat"
