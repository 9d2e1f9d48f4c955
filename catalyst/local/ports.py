"""Free TCP ports of the loopback interface."""

import random
import socket

# Below 32768, where Linux begins to hand out ports to outgoing connections: one of those could take ours at any moment.
_LOWEST, _HIGHEST = 20000, 32767


def is_port_free(port: int, host: str = "127.0.0.1") -> bool:
    """Say whether a server could listen on this port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(preferred: int | None = None) -> int:
    """Return ``preferred`` when it is free (addresses that people noted stay valid), else another free port."""
    if preferred is not None and is_port_free(preferred):
        return preferred
    for _ in range(200):
        port = random.randint(_LOWEST, _HIGHEST)  # noqa: S311 - a port is no secret
        if is_port_free(port):
            return port
    raise OSError(f"No free port between {_LOWEST} and {_HIGHEST}.")
