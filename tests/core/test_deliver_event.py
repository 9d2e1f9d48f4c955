"""A consumer gets its event until it is done, or dead after eight attempts."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from catalyst.core import outbox
from catalyst.core.models import Delivery

pytestmark = pytest.mark.django_db


class _Consumer:
    def __init__(self) -> None:
        self.is_broken = True
        self.calls = 0

    def __call__(self, message: Any) -> None:
        self.calls += 1
        if self.is_broken:
            raise ValueError("no luck")


@pytest.fixture
def consumer() -> Any:
    consumer = _Consumer()
    outbox.subscribe("test.happened", name="test.consumer")(consumer)
    yield consumer
    del outbox._consumers["test.happened"]


@pytest.fixture
def delivery_id(consumer: Any) -> Any:
    outbox.publish(topic="test.happened", key="1", stream="", payload={})
    return outbox.relay_once()[0]


def _attempt(delivery_id: Any) -> Any:
    Delivery.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    return outbox.run_delivery(delivery_id=delivery_id, owner="test")


def test_tries_again_later(consumer: Any, delivery_id: Any) -> None:
    assert not outbox.run_delivery(delivery_id=delivery_id, owner="test")

    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts, delivery.lease_until) == ("pending", 1, None)
    assert delivery.last_error == "ValueError: no luck"
    assert delivery.next_attempt_at > timezone.now()
    assert outbox.due_deliveries(now=timezone.now()) == []
    assert outbox.due_deliveries(now=timezone.now() + timedelta(seconds=3)) == [delivery_id]


def test_heals(consumer: Any, delivery_id: Any) -> None:
    _attempt(delivery_id)
    consumer.is_broken = False

    assert _attempt(delivery_id)

    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts, delivery.last_error) == ("done", 2, "")
    assert not _attempt(delivery_id)
    assert consumer.calls == 2


def test_is_dead_after_eight_attempts(consumer: Any, delivery_id: Any) -> None:
    for _ in range(10):
        _attempt(delivery_id)

    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts, consumer.calls) == ("dead", 8, 8)
    assert outbox.due_deliveries(now=timezone.now() + timedelta(days=1)) == []


def test_a_replayed_dead_one_lives_again(consumer: Any, delivery_id: Any) -> None:
    for _ in range(8):
        _attempt(delivery_id)
    consumer.is_broken = False

    outbox.replay_delivery(delivery_id=delivery_id)

    assert _attempt(delivery_id)
    assert Delivery.objects.get().state == "done"


def test_a_live_one_is_not_replayed(consumer: Any, delivery_id: Any) -> None:
    _attempt(delivery_id)

    outbox.replay_delivery(delivery_id=delivery_id)

    assert Delivery.objects.get().attempts == 1


def test_a_leased_one_belongs_to_its_worker(consumer: Any, delivery_id: Any) -> None:
    Delivery.objects.update(lease_owner="other", lease_until=timezone.now() + timedelta(seconds=60))

    assert not _attempt(delivery_id)

    assert consumer.calls == 0
