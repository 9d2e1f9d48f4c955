"""The relay as its own process: it finds what is committed, and stops when it is told."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from django.db import connection, transaction

from catalyst.core import outbox
from catalyst.core.http import heartbeat
from catalyst.core.models import Outbox

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def relay() -> Iterator[subprocess.Popen[bytes]]:
    database = connection.settings_dict
    address = f"postgres://{quote(database['USER'])}@{database['HOST']}:{database['PORT']}/{database['NAME']}"
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "catalyst.settings.test", "DATABASE_URL": address}
    process = subprocess.Popen([sys.executable, str(ROOT / "manage.py"), "relay"], env=environment)
    yield process
    process.kill()
    process.wait()


def _wait(seconds: float, condition: Callable[[], bool]) -> bool:
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_relays_beats_and_stops(relay: subprocess.Popen[bytes]) -> None:
    heartbeat.client().delete("catalyst:heartbeat:relay")
    with transaction.atomic():
        outbox.publish(topic="test.happened", key="1", stream="", payload={})

    assert _wait(20, lambda: Outbox.objects.filter(sequence=1).exists())
    assert _wait(5, lambda: heartbeat.is_alive("relay"))
    relay.send_signal(signal.SIGTERM)
    assert relay.wait(5) == 0
