"""Fork a child per job and let it die: ``python -m tests.crash.server``, one JSON job per line of standard input.

The answer to each is one line: the signal that ended the child (0: none) and what its caller saw (null: nothing).
"""

import json
import os
import sys
import traceback
from typing import Any

import django

_FAILED = 71


def main() -> None:
    """Serve jobs until standard input ends."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "catalyst.settings.test")
    django.setup()
    # Imported once, here, so that a child starts with everything loaded and no connection open.
    from django.db import connection
    from django.urls import get_resolver

    from tests.crash.jobs import run_job

    options = connection.settings_dict["OPTIONS"]
    options["options"] = f"{options['options']} -c role=catalyst_app"
    get_resolver().url_patterns  # noqa: B018  (loads every view)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(_fork(json.loads(line), run_job)), flush=True)


def _fork(job: dict[str, Any], run_job: Any) -> dict[str, Any]:
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        _live_and_die(job, run_job, write_end)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    signal = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if not signal and os.WEXITSTATUS(status):
        return {"signal": 0, "error": said}
    return {"signal": signal, "answer": None if signal else json.loads(said)}


def _live_and_die(job: dict[str, Any], run_job: Any, write_end: int) -> None:
    """The child: whatever happens here, it never returns into the server's loop."""
    from django.conf import settings

    code = _FAILED
    try:
        os.environ["CATALYST_FAILPOINT"] = job["failpoint"]
        for name, value in job["settings"].items():
            setattr(settings, name, value)
        said = json.dumps(run_job(job))
        code = 0
    except BaseException:
        said = traceback.format_exc()
    with os.fdopen(write_end, "w") as pipe:
        pipe.write(said)
    os._exit(code)


if __name__ == "__main__":
    main()
