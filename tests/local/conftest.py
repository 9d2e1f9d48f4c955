from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services import temporary_home


@pytest.fixture
def home() -> Iterator[Path]:
    """A data folder of the test's own, which the server's unprivileged user can enter."""
    with temporary_home() as folder:
        yield folder
