"""Death of a process, for what must survive it."""

import os
import signal
from collections.abc import Callable
from typing import Any

from django.db import connection

from catalyst.core import failpoints


def killed_at(point: str, action: Callable[[], Any]) -> None:
    """Run the action in a process of its own that dies by ``kill -9`` at the point."""
    connection.close()  # a connection belongs to one process
    child = os.fork()
    if child == 0:
        failpoints.hits.clear()
        os.environ["CATALYST_FAILPOINT"] = f"{point}=kill"
        try:
            action()
        finally:
            os._exit(0)
    _child, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL
