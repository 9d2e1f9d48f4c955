"""A projection is the fold of the log: rebuilt from zero it has the rows it had."""

from typing import Any

import pytest
from django.core.management import CommandError, call_command

from catalyst.core import outbox, projections
from catalyst.core.models import Outbox, ProjectorCursor

pytestmark = pytest.mark.django_db


@pytest.fixture
def totals(monkeypatch: Any) -> Any:
    """A projector whose table is a dictionary, so that only the runner is under test."""
    monkeypatch.setattr(projections, "_projectors", {})
    table: dict[str, int] = {}

    def apply(message: Any) -> None:
        table[message.stream] = table.get(message.stream, 0) + message.payload["amount"] * message.sequence

    projections.register_projector(
        projections.Projector(name="totals", topics=frozenset({"amount.added"}), apply=apply, clear=table.clear)
    )
    return table


def _publish(*amounts: Any) -> None:
    for amount in amounts:
        topic = "amount.added" if amount else "amount.ignored"
        key = f"{topic}:{Outbox.objects.count()}"
        outbox.publish(topic=topic, key=key, stream=f"organization:{amount % 2}", payload={"amount": amount})
    outbox.relay_once()


def test_folds_each_event_once(totals: Any) -> None:
    _publish(5, 0, 7)

    projections.run_projectors()
    projections.run_projectors()

    assert totals == {"organization:1": 5 * 1 + 7 * 3}
    assert ProjectorCursor.objects.get().sequence == 3


def test_rebuilt_is_equal(totals: Any) -> None:
    _publish(5, 0, 7)
    projections.run_projectors()
    _publish(2, 9)
    projections.run_projectors()
    before = dict(totals)

    call_command("rebuild_projection")

    assert totals == before == {"organization:1": 5 + 21 + 45, "organization:0": 8}
    assert ProjectorCursor.objects.get().sequence == 5
    assert projections.run_projectors() == 0


def test_mends_a_damaged_table(totals: Any) -> None:
    _publish(5)
    projections.run_projectors()
    totals["organization:1"] = 999

    call_command("rebuild_projection", "totals")

    assert totals == {"organization:1": 5}


def test_refuses_an_unknown_name(totals: Any) -> None:
    with pytest.raises(CommandError, match="There is no projection sums"):
        call_command("rebuild_projection", "sums")
