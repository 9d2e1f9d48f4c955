"""The audit trail shows tampering."""

from typing import Any

import pytest
from django.db import DatabaseError, transaction

from tenancy.models import AuditEntry
from tenancy.services.audit import append_audit, verify_chain
from tests.conftest import owner_connection

STREAM = "organization:7"


def _append(count: Any = 3) -> None:
    for number in range(1, count + 1):
        append_audit(
            stream=STREAM, actor="test", action="thing.done", target=f"thing:{number}", detail={"b": 1, "a": "é"}
        )


def _as_owner(statement: Any, *parameters: Any) -> None:
    with owner_connection() as owner:
        owner.execute("SET session_replication_role = replica")
        owner.execute(statement, parameters)


@pytest.mark.django_db
def test_numbers_rows_without_a_gap() -> None:
    _append()

    assert list(AuditEntry.objects.order_by("id").values_list("seq", flat=True)) == [1, 2, 3]
    assert verify_chain(STREAM).is_intact
    assert verify_chain(STREAM).entries == 3


@pytest.mark.django_db
def test_an_empty_chain_is_intact() -> None:
    verdict = verify_chain("organization:404")

    assert (verdict.entries, verdict.broken_at) == (0, None)


@pytest.mark.django_db
@pytest.mark.parametrize("statement", ["UPDATE tenancy_auditentry SET actor = 'x'", "DELETE FROM tenancy_auditentry"])
def test_the_application_cannot_change_a_row(statement: Any) -> None:
    _append()

    with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
        AuditEntry.objects.raw(statement + " RETURNING *")[0]

    assert verify_chain(STREAM).entries == 3


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "change",
    [
        "seq = 9",
        "prev_hash = sha256('x')",
        "hash = sha256('x')",
        "at = at + interval '1 microsecond'",
        "actor = 'somebody else'",
        "action = 'thing.undone'",
        "target = 'thing:4'",
        """detail = '{"a": "e", "b": 1}'""",
        "request_id = 'x'",
        "stream = 'organization:8'",
    ],
)
def test_shows_each_changed_column(change: Any) -> None:
    _append()

    _as_owner(f"UPDATE tenancy_auditentry SET {change} WHERE stream = %s AND seq = 2", STREAM)

    assert verify_chain(STREAM).broken_at == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("missing", "broken_at"), [(1, 1), (2, 2), (3, 3)])
def test_shows_a_missing_row_even_the_last(missing: Any, broken_at: Any) -> None:
    _append()

    _as_owner("DELETE FROM tenancy_auditentry WHERE stream = %s AND seq = %s", STREAM, missing)

    assert verify_chain(STREAM).broken_at == broken_at
