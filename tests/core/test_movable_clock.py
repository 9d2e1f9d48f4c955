"""The tests' own clock: Postgres, its defaults and triggers, and Python tell the same moved time."""

from datetime import timedelta

import pytest
from django.utils import timezone

from catalyst.core.database import fetch_one
from catalyst.core.models import Incident
from tests.clock import MovableClock

pytestmark = pytest.mark.django_db(transaction=True)

_YEAR = timedelta(days=365)
_CLOSE = timedelta(seconds=5)


def test_everything_moves_together(clock: MovableClock) -> None:
    before = timezone.now()

    clock.advance(_YEAR)

    row = fetch_one("SELECT now(), statement_timestamp(), clock_timestamp(), transaction_timestamp()")
    assert row is not None
    assert all(abs(moment - before - _YEAR) < _CLOSE for moment in row)
    assert abs(timezone.now() - before - _YEAR) < _CLOSE
    opened_at = Incident.objects.create(kind="clock", subject="default").opened_at
    assert abs(opened_at - before - _YEAR) < _CLOSE


def test_it_never_goes_back(clock: MovableClock) -> None:
    with pytest.raises(ValueError, match="forward"):
        clock.advance(timedelta(seconds=-1))


def test_the_next_test_has_the_real_time() -> None:
    row = fetch_one("SELECT now() - pg_catalog.now()")

    assert row == (timedelta(),)
