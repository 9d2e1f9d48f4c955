"""Two Organizations look at one name at the same moment: one of them has it afterwards."""

import threading
from datetime import UTC, datetime

import pytest
from django.db import connection

from tenancy.models import Domain
from tenancy.services import domain_checks
from tenancy.services.domain_checks import record_answer
from tenancy.services.domain_proof import Answer, record_value
from tests.factories import DomainFactory

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def both_record(*, name: str) -> list[str]:
    """Write down the proofs of two who claim a name, at one barrier; return the states, or the error's kind."""
    rows = [DomainFactory.create(name=name, state="pending") for _ in range(2)]
    answer = Answer(frozenset(record_value(row.token) for row in rows))
    barrier, outcomes = threading.Barrier(2), []

    def run(domain: Domain) -> None:
        try:
            connection.ensure_connection()
            barrier.wait(10)
            row = record_answer(domain_id=domain.pk, answer=answer, actor="test", now=NOW)
            outcomes.append(f"{row.state} {row.trouble}".strip())
        except Exception as error:
            outcomes.append(type(error).__name__)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(row,)) for row in rows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(outcomes)


@pytest.mark.parametrize("number", range(4))
def test_one_of_two_proofs_wins(number: int) -> None:
    assert both_record(name=f"race{number}.com") == ["pending taken", "verified"]
    assert Domain.objects.verified().count() == 1


def test_the_race_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: without the lock both see nobody, and only the constraint is left to refuse one."""
    looked = threading.Barrier(2)

    def without_lock(domain_id: int) -> list[Domain]:
        found = list(Domain.objects.filter(pk=domain_id).select_related("organization"))
        looked.wait(10)
        return found

    monkeypatch.setattr(domain_checks, "lock_claimants", without_lock)

    assert both_record(name="race.com") == ["IntegrityError", "verified"]
    assert Domain.objects.verified().count() == 1


def test_whose_proof_is_gone_gives_way_in_the_same_moment() -> None:
    first, second = DomainFactory.create(name="acme.com"), DomainFactory.create(name="acme.com", state="pending")

    row = record_answer(
        domain_id=second.pk, answer=Answer(frozenset([record_value(second.token)])), actor="test", now=NOW
    )

    first.refresh_from_db()
    assert (row.state, first.state) == ("verified", "failed")
