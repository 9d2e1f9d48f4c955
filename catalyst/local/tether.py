"""Tie a child process to its parent, so that nothing is left behind when the parent is killed."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
# Loaded here, not in the child: between fork and exec a child should do as little as possible.
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def tie_to_parent(death_signal: signal.Signals) -> Callable[[], None]:
    """Return a ``preexec_fn`` after which the kernel sends ``death_signal`` when the parent dies.

    The kernel watches the thread that made the child, so children are started from the main thread. Changing the user
    clears the setting, and ``subprocess`` calls a ``preexec_fn`` after it has done that. Elsewhere than
    on Linux this has no effect.

    Source: prctl(2), PR_SET_PDEATHSIG.
    """
    parent = os.getpid()

    def apply() -> None:
        if _libc is None:
            return
        _libc.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != parent:  # it died before the call above
            os.kill(os.getpid(), signal.SIGKILL)

    return apply


def follow_parent(death_signal: signal.Signals) -> None:
    """Ask the kernel to send ``death_signal`` to this very process when its parent dies. Linux only."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
