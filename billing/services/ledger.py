"""The credit ledger: one locked account row, one append-only chain. Amounts are minor units.

Every function here is a step: call it inside a transaction that holds the account's lock, except ``open_account``.
"""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from catalyst.core.database import execute, fetch_one, use_case
from catalyst.core.errors import NotFound
from tenancy.models import Organization, Sovereign


@dataclass(frozen=True, slots=True)
class LockedAccount:
    """The account as it stood when its row was locked."""

    organization_id: int
    currency: str
    posted_minor: int
    held_minor: int
    last_seq: int
    frozen_at: datetime | None
    psp_customer_id: str | None

    @property
    def available_minor(self) -> int:
        """What can be spent or held now; a frozen account spends nothing."""
        return 0 if self.frozen_at else self.posted_minor - self.held_minor


_COLUMNS = "organization_id, currency, posted_minor, held_minor, last_seq, frozen_at, psp_customer_id"
LOCK = f"SELECT {_COLUMNS} FROM billing_account WHERE organization_id = %(organization)s FOR NO KEY UPDATE"  # noqa: S608


def lock_account(organization_id: int) -> LockedAccount:
    """Lock the account row and return it.

    :raises NotFound: the Organization has no account yet; ``open_account`` makes one.
    """
    return locked_account(fetch_one(LOCK, {"organization": organization_id}, prepared=True))


def locked_account(row: tuple[Any, ...] | None) -> LockedAccount:
    """Return what ``LOCK`` selected, when it was sent together with other statements.

    :raises NotFound: as ``lock_account``.
    """
    if row is None:
        raise NotFound(_("This Organization has no billing account."))
    return LockedAccount(*row)


def read_account(organization_id: int) -> LockedAccount | None:
    """Return the account without a lock, for quotes and pages."""
    row = fetch_one(
        f"SELECT {_COLUMNS} FROM billing_account WHERE organization_id = %s",  # noqa: S608
        [organization_id],
    )
    return LockedAccount(*row) if row else None


@use_case
def open_account(*, organization: Organization, sovereign: Sovereign) -> None:
    """Make the Organization's one billing account, in the Sovereign's currency; a second call changes nothing."""
    execute(
        """
        WITH account AS (
          INSERT INTO billing_account (organization_id, currency) VALUES (%s, %s)
          ON CONFLICT DO NOTHING RETURNING organization_id)
        INSERT INTO billing_ledgerentry (organization_id, seq, amount_minor, balance_after_minor, kind,
          counter_account, idempotency_key, actor)
        SELECT organization_id, 0, 0, 0, 'opening', 'opening', 'opening', 'system' FROM account
        """,
        [organization.pk, sovereign.currency_id],
    )


@dataclass(frozen=True, slots=True)
class Entry:
    """One line to post. ``amount_minor`` is signed; exactly one source is set, as its kind demands."""

    kind: str
    amount_minor: int
    counter_account: str
    idempotency_key: str
    redemption_id: int | None = None
    order_id: int | None = None
    invoice_id: int | None = None
    credit_note_id: int | None = None
    reverses_seq: int | None = None
    reverses_amount_minor: int | None = None
    reverses_kind: str | None = None


#: What ``post_entries`` writes, as parts of a WITH: for a transaction that posts together with other rows. The event
#: says the balance after the last entry, so the read table of balances needs no other source than the log.
POSTING = """
posted AS (
  INSERT INTO billing_ledgerentry (organization_id, seq, amount_minor, balance_after_minor, prev_seq,
    prev_balance_minor, kind, counter_account, idempotency_key, actor, redemption_id, order_id, invoice_id,
    credit_note_id, reverses_seq, reverses_amount_minor, reverses_kind)
  SELECT %(organization)s, seq, amount_minor, prev_balance_minor + amount_minor, prev_seq,
    prev_balance_minor, kind, counter_account, idempotency_key, %(actor)s, redemption_id, order_id, invoice_id,
    credit_note_id, reverses_seq, reverses_amount_minor, reverses_kind
  FROM jsonb_to_recordset(%(rows)s::jsonb) AS e (seq bigint, amount_minor bigint, prev_seq bigint,
    prev_balance_minor bigint, kind text, counter_account text, idempotency_key text, redemption_id bigint,
    order_id bigint, invoice_id bigint, credit_note_id bigint, reverses_seq bigint, reverses_amount_minor bigint,
    reverses_kind text)
  ORDER BY seq),
told AS (
  INSERT INTO core_outbox (dedup_key, topic, stream, payload)
  SELECT 'account.posted:' || %(organization)s::bigint || ':' || %(seq)s::bigint, 'account.posted',
    'organization:' || %(organization)s::bigint,
    jsonb_build_object('organization', %(organization)s::bigint, 'currency', %(account_currency)s::text,
      'balance', %(balance)s::bigint, 'entry', %(seq)s::bigint)
  WHERE jsonb_array_length(%(rows)s::jsonb) > 0),
moved AS (
  UPDATE billing_account SET posted_minor = %(balance)s, last_seq = %(seq)s, held_minor = held_minor + %(held)s
  WHERE organization_id = %(organization)s AND %(moves)s)
"""


def post_entries(account: LockedAccount, entries: list[Entry], *, actor: str, held_delta_minor: int = 0) -> None:
    """Append entries to the chain and move the account row with them; call under ``lock_account``.

    ``held_delta_minor`` is what holds made or ended in the same transaction add to ``held``. The database refuses a
    balance below zero, a gap, a fork, and a row that does not equal its chain.
    """
    parameters = posting_parameters(account, entries, actor=actor, held_delta_minor=held_delta_minor)
    execute(f"WITH {POSTING} SELECT", parameters, prepared=True)


def posting_parameters(
    account: LockedAccount, entries: list[Entry], *, actor: str, held_delta_minor: int = 0
) -> dict[str, Any]:
    """Return what ``POSTING`` needs; the arguments are those of ``post_entries``."""
    rows: list[dict[str, object]] = []
    seq, balance = account.last_seq, account.posted_minor
    for entry in entries:
        given = {name: value for name, value in asdict(entry).items() if value is not None}
        rows.append({**given, "seq": seq + 1, "prev_seq": seq, "prev_balance_minor": balance})
        seq, balance = seq + 1, balance + entry.amount_minor
    return {
        "organization": account.organization_id,
        "account_currency": account.currency,
        "actor": actor,
        "rows": json.dumps(rows),
        "balance": balance,
        "seq": seq,
        "held": held_delta_minor,
        # A sale that the card paid alone leaves the account's row as it is.
        "moves": bool(entries or held_delta_minor),
    }
