"""Doing the slow half of a long list ahead: a few threads wait for the network while the caller works."""

import contextvars
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Final, TypeVar

#: More would only wait for the interpreter.
_THREADS: Final = 4
#: How many answers may wait for the caller; each holds some megabytes at worst.
_AHEAD: Final = 8

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def work_ahead(
    work: Callable[[Item], Answer], items: Iterable[Item], *, threads: int = _THREADS
) -> Iterator[tuple[Item, Answer]]:
    """Yield each item with what ``work`` makes of it, in order; ``work`` may not touch the database.

    One thread is enough for work that waits for nothing: it runs while the caller waits for Postgres. What ``work``
    raises is raised here, when its turn comes.
    """
    left = iter(items)
    running: deque[tuple[Item, Future[Answer]]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="ahead") as pool:
        try:
            while True:
                for item in islice(left, _AHEAD - len(running)):
                    # With the caller's context, so that refusals speak its language.
                    running.append((item, pool.submit(contextvars.copy_context().run, work, item)))
                if not running:
                    return
                item, future = running.popleft()
                yield item, future.result()
        finally:
            for _item, future in running:
                future.cancel()
