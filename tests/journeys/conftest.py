"""One running Catalyst for all journeys of a process: each of them is another customer of it."""

from collections.abc import Iterator

import pytest

from tests.journeys.stack import Stack, running_stack


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    with running_stack() as stack:
        yield stack
