"""A ledger of years: 3 million entries beneath the Organizations that do not buy, and one account with 100,000.

Written with triggers and keys off, as the seed is, and checked by the project's own invariants afterwards.
"""

from django.db import connection

from bench.exactness import assert_invariants
from bench.seed_facts import ENTRIES, LONG_CHAIN, LONG_CHAIN_ENTRIES

#: Organizations of their own, which no load buys for; the first of them has the long chain.
_GROWN = 20_000
_EACH = (ENTRIES - LONG_CHAIN_ENTRIES) // _GROWN
_AMOUNT_MINOR = 10

_ACCOUNTS = """
INSERT INTO tenancy_organization (id, uuid, slug, name, name_ar)
  SELECT n, gen_random_uuid(), 'grown-' || n, 'Grown ' || n, '' FROM generate_series({first}, {last}) AS n;
INSERT INTO billing_account (organization_id, currency) SELECT n, 'OMR' FROM generate_series({first}, {last}) AS n;
INSERT INTO billing_ledgerentry (organization_id, seq, amount_minor, balance_after_minor, kind, counter_account,
    idempotency_key, actor)
  SELECT n, 0, 0, 0, 'opening', 'opening', 'opening', 'system' FROM generate_series({first}, {last}) AS n;
"""

_ENTRIES = """
INSERT INTO billing_ledgerentry (organization_id, seq, amount_minor, balance_after_minor, prev_seq, prev_balance_minor,
    kind, counter_account, idempotency_key, actor)
SELECT o, s, {amount}, s * {amount}, s - 1, (s - 1) * {amount}, 'manual_grant', 'promotion', 'bench:' || s, 'bench'
FROM generate_series({first}, {last}) AS o, generate_series(1, {each}) AS s;
UPDATE billing_account SET posted_minor = {each} * {amount}, last_seq = {each}
WHERE organization_id BETWEEN {first} AND {last};
"""


def main() -> None:
    """Write the entries and refresh what autovacuum would."""
    last = LONG_CHAIN + _GROWN
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(_ACCOUNTS.format(first=LONG_CHAIN, last=last))
        cursor.execute(_ENTRIES.format(first=LONG_CHAIN + 1, last=last, each=_EACH, amount=_AMOUNT_MINOR))
        cursor.execute(
            _ENTRIES.format(first=LONG_CHAIN, last=LONG_CHAIN, each=LONG_CHAIN_ENTRIES, amount=_AMOUNT_MINOR)
        )
        cursor.execute("SET session_replication_role = origin")
        cursor.execute("VACUUM ANALYZE billing_ledgerentry, billing_account")
        cursor.execute("CHECKPOINT")
    assert_invariants()
    print("grown")
