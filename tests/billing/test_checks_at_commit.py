"""What no transaction may leave half-written: each damage is refused at COMMIT, by the one check that is there for it.

The control of a damage is the same damage with that check turned off: then nothing else refuses it. All of it is undone
with its transaction.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg.errors import IntegrityConstraintViolation

from tests.billing.shop import Shop
from tests.conftest import owner_connection

pytestmark = pytest.mark.django_db(transaction=True)

_SOLD = "(SELECT id FROM billing_checkout WHERE state = 'completed')"
_OPEN = "(SELECT id FROM billing_checkout WHERE state = 'awaiting_payment')"
_ACCOUNT = f"organization_id = (SELECT organization_id FROM billing_checkout WHERE id = {_SOLD})"

_MOVE = f"UPDATE billing_account SET posted_minor = posted_minor + 5, last_seq = last_seq + 1 WHERE {_ACCOUNT};"
_MISMOVE = f"UPDATE billing_account SET posted_minor = posted_minor + 4, last_seq = last_seq + 1 WHERE {_ACCOUNT};"
#: One more entry of 5 at the end of the chain, however long it is.
_ENTRY = f"""
INSERT INTO billing_ledgerentry (organization_id, seq, amount_minor, balance_after_minor, prev_seq, prev_balance_minor,
  kind, counter_account, idempotency_key, actor)
SELECT organization_id, seq + 1, 5, balance_after_minor + 5, seq, balance_after_minor, 'manual_grant', 'promotion',
  'more:' || seq, 'test'
FROM billing_ledgerentry WHERE {_ACCOUNT} ORDER BY seq DESC LIMIT 1;
"""
_STEP = f"""
INSERT INTO billing_checkoutevent (checkout_id, seq, from_state, to_state, actor, reason)
SELECT id, version + 1, state, 'needs_review', 'test', '' FROM billing_checkout WHERE id = {_OPEN};
"""
_WITHOUT_ORDER = f"""
INSERT INTO billing_checkout (id, organization_id, currency, cart_id, buyer_id, env_type, selection, state, version,
  quote_hash, total_minor, credit_minor, psp_step, psp_min_minor, next_action_at, last_error)
SELECT gen_random_uuid(), organization_id, currency, gen_random_uuid(), buyer_id, env_type, selection, state, 1,
  quote_hash, total_minor, credit_minor, psp_step, psp_min_minor, now(), '' FROM billing_checkout WHERE id = {_SOLD};
INSERT INTO billing_checkoutevent (checkout_id, seq, from_state, to_state, actor, reason)
SELECT id, 1, '-', state, 'test', '' FROM billing_checkout
WHERE NOT EXISTS (SELECT FROM billing_order WHERE checkout_id = billing_checkout.id);
"""
#: A Voucher's place that is still reserved, where the shopper is on the card page already.
_RESERVED_TOO_LATE = f"""
INSERT INTO billing_redemption (organization_id, voucher_id, checkout_id, cart_id, state, currency, grant_minor,
  per_organization_limit, slot)
SELECT k.organization_id, v.id, k.id, k.cart_id, 'reserved', v.currency, v.grant_minor, 1, 1
FROM billing_checkout AS k, billing_voucher AS v WHERE k.id = {_OPEN} AND v.redeemed_count + v.reserved_count = 0;
"""
_HOLD = f"UPDATE billing_credithold SET state = 'voided', resolved_at = now() WHERE checkout_id = {_OPEN};"
_UNHELD = f"UPDATE billing_account SET held_minor = 0 WHERE {_ACCOUNT};"

#: Damage → the checks that refuse it, and how it is done.
DAMAGES = {
    "a balance that no entry explains": (["account_check"], _MOVE),
    "a balance that differs from its entry": (["account_check"], _ENTRY + _MISMOVE),
    "an entry that the account does not know": (["entry_check"], _ENTRY),
    "an account that knows the first of two entries": (["account_check", "entry_check"], _ENTRY + _MOVE + _ENTRY),
    "held credit without a hold": (["account_check"], f"UPDATE billing_account SET held_minor = 5 WHERE {_ACCOUNT}"),
    "a hold that ends and stays held": (["hold_check", "hold_checkout_check"], _HOLD),
    "an open checkout without its hold": (["hold_checkout_check"], _HOLD + _UNHELD),
    "a step that the checkout does not know": (["checkoutevent_check"], _STEP),
    "a sale without an order": (["checkout_check"], _WITHOUT_ORDER),
    "an order that is paid before its checkout": (
        ["order_check"],
        f"UPDATE billing_order SET state = 'paid' WHERE checkout_id = {_OPEN}",
    ),
    "a Voucher's place reserved after the hand-over": (["redemption_check"], _RESERVED_TOO_LATE),
}


def _fill(shop: Shop) -> None:
    """Sell one order, leave one open that holds what is left, and issue one Voucher that nobody has used."""
    shop.buy(voucher_code=shop.code(shop.voucher(60_000)))
    shop.buy(env_type="dev")
    shop.voucher(10_000)


@contextmanager
def _undone() -> Iterator[psycopg.Connection[Any]]:
    with owner_connection() as owner, owner.transaction(force_rollback=True):
        yield owner


def _commit(owner: psycopg.Connection[Any], damage: str) -> None:
    """Do the damage, and check it as COMMIT does."""
    owner.execute(damage.encode())
    owner.execute("SET CONSTRAINTS ALL IMMEDIATE")


def test_is_refused_at_commit(shop: Shop, subtests: pytest.Subtests) -> None:
    _fill(shop)

    for name, (_, damage) in DAMAGES.items():
        with (
            subtests.test(name),
            _undone() as owner,
            pytest.raises(IntegrityConstraintViolation, match="is inconsistent"),
        ):
            _commit(owner, damage)


def test_control_without_its_check_it_passes(shop: Shop, subtests: pytest.Subtests) -> None:
    _fill(shop)

    for name, (checks, damage) in DAMAGES.items():
        with subtests.test(name), _undone() as owner:
            for check in checks:
                row = owner.execute("SELECT tgrelid::regclass FROM pg_trigger WHERE tgname = %s", [check]).fetchone()
                assert row is not None
                owner.execute(f"ALTER TABLE {row[0]} DISABLE TRIGGER {check}".encode())
            _commit(owner, damage)


def test_is_refused_after_a_check_that_passed(shop: Shop, subtests: pytest.Subtests) -> None:
    """No check relies on one that ran earlier in the transaction."""
    _fill(shop)
    touched = (
        "UPDATE billing_account SET frozen_at = NULL; UPDATE billing_checkout SET last_error = '';"
        "UPDATE billing_order SET state = state; UPDATE billing_redemption SET state = state"
    )

    for name, (_, damage) in DAMAGES.items():
        with subtests.test(name), _undone() as owner:
            _commit(owner, touched)
            owner.execute("SET CONSTRAINTS ALL DEFERRED")
            with pytest.raises(IntegrityConstraintViolation, match="is inconsistent"):
                _commit(owner, damage)


def test_an_entry_with_its_account_passes(shop: Shop) -> None:
    _fill(shop)

    with _undone() as owner:
        _commit(owner, _ENTRY + _MOVE)
        _commit(owner, "SET CONSTRAINTS ALL DEFERRED;" + _ENTRY + _ENTRY + _MOVE + _MOVE)
