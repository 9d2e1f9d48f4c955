"""The relay gives every committed event one place in the log, without a gap, whoever writes at the same time."""

import threading
from typing import Any

import pytest
from django.db import connection, transaction

from catalyst.core import outbox
from catalyst.core.failpoints import Crash, armed, crash
from catalyst.core.management.commands.relay import Command
from catalyst.core.models import Delivery, Outbox

pytestmark = pytest.mark.django_db(transaction=True)

WRITERS, EVENTS = 4, 25


@pytest.fixture
def consumer() -> Any:
    """Subscribe a consumer of ``test.happened`` for one test."""
    seen = []
    outbox.subscribe("test.happened", name="test.consumer")(lambda message: seen.append(message.key))
    yield seen
    del outbox._consumers["test.happened"]


def _publish(key: Any, topic: Any = "test.happened") -> None:
    with transaction.atomic(durable=True):
        outbox.publish(topic=topic, key=key, stream="organization:1", payload={"key": key})


def _in_threads(count: Any, work: Any) -> Any:
    failures = []

    def run(number: Any) -> None:
        try:
            work(number)
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    return threads, failures


def _sequences() -> Any:
    return list(Outbox.objects.order_by("sequence").values_list("sequence", flat=True))


def test_has_no_gap_under_four_writers_and_two_relays(consumer: Any) -> None:
    writers_done = threading.Event()

    def relay(_number: Any) -> None:
        while not writers_done.is_set() or Outbox.objects.filter(sent_at=None).exists():
            outbox.relay_once()

    def write(number: Any) -> None:
        for position in range(EVENTS):
            _publish(f"{number}:{position}")

    relays, relay_failures = _in_threads(2, relay)
    writers, writer_failures = _in_threads(WRITERS, write)
    for thread in writers:
        thread.join()
    writers_done.set()
    for thread in relays:
        thread.join()

    assert relay_failures == writer_failures == []
    assert _sequences() == list(range(1, WRITERS * EVENTS + 1))
    assert Delivery.objects.count() == WRITERS * EVENTS


def _relay_while_another_stands_in_its_transaction(monkeypatch: Any, *, second_lock: Any) -> Any:
    """Hold one relay before its commit, let a second one run with ``second_lock``; return what that one met."""
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        inside.set()
        leave.wait(10)

    with armed("outbox.relay.in_tx", hold):
        first, first_failures = _in_threads(1, lambda _number: outbox.relay_once())
        inside.wait(10)
    monkeypatch.setattr(outbox, "_RELAY_LOCK", second_lock)
    _publish("2")
    second, failures = _in_threads(1, lambda _number: outbox.relay_once())
    second[0].join(0.5)
    leave.set()
    for thread in first + second:
        thread.join()
    assert first_failures == []
    return failures


def test_a_second_relay_waits_for_its_turn(monkeypatch: Any) -> None:
    _publish("1")

    assert _relay_while_another_stands_in_its_transaction(monkeypatch, second_lock=outbox._RELAY_LOCK) == []

    assert _sequences() == [1, None]


def test_control_without_the_shared_lock_two_relays_collide(monkeypatch: Any) -> None:
    _publish("1")

    failures = _relay_while_another_stands_in_its_transaction(monkeypatch, second_lock=4711)

    assert len(failures) == 1
    assert "is set once" in str(failures[0]) or "duplicate key" in str(failures[0])


def test_an_uncommitted_event_is_not_relayed() -> None:
    with transaction.atomic():
        outbox.publish(topic="test.happened", key="1", stream="", payload={})
        transaction.set_rollback(True)

    assert outbox.relay_once() == []
    assert Outbox.objects.count() == 0


def test_a_crash_inside_the_relay_changes_nothing(consumer: Any) -> None:
    _publish("1")

    with armed("outbox.relay.in_tx", crash), pytest.raises(Crash):
        outbox.relay_once()

    assert _sequences() == [None]
    assert Delivery.objects.count() == 0
    assert len(outbox.relay_once()) == 1
    assert _sequences() == [1]


def test_a_crash_after_the_effect_delivers_again(consumer: Any, monkeypatch: Any) -> None:
    _publish("1")
    (delivery_id,) = outbox.relay_once()

    with armed("outbox.delivery.after_effect", crash), pytest.raises(Crash):
        outbox.run_delivery(delivery_id=delivery_id, owner="first")

    assert not outbox.run_delivery(delivery_id=delivery_id, owner="second")  # the first one's lease
    Delivery.objects.update(lease_until="2026-01-01T00:00Z")
    assert outbox.run_delivery(delivery_id=delivery_id, owner="second")
    assert consumer == ["1", "1"]
    assert Delivery.objects.get().state == "done"


def test_is_refused_a_second_event_with_the_same_key() -> None:
    _publish("1")

    with pytest.raises(Exception, match="dedup_key"):
        _publish("1")

    assert Outbox.objects.count() == 1


def test_the_process_does_it_all_in_one_turn(consumer: Any) -> None:
    _publish("1")

    pause = Command().turn()

    assert pause == 0.0
    assert _sequences() == [1]
    assert Delivery.objects.get().state == "pending"


def test_the_process_survives_a_dead_connection(consumer: Any) -> None:
    command = Command()
    command.turn()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]
    from tests.conftest import owner_connection

    with owner_connection() as owner:
        owner.execute("SELECT pg_terminate_backend(%s)", [pid])

    assert command.turn() == 1.0
    _publish("1")
    command.turn()
    assert _sequences() == [1]
