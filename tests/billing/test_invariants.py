"""Each invariant reports the damage it is there for: a control per query, made behind the guards of the database."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import transaction
from django.utils import timezone

from billing.models import Checkout, Order, StripeEvent
from billing.services.checkout import cancel_checkout
from billing.services.invoices import issue_order_invoice
from catalyst.core.database import execute
from catalyst.core.invariants import check_invariants, registered
from tests.billing.shop import Shop

pytestmark = pytest.mark.django_db(transaction=True)

_SOLD = "(SELECT id FROM billing_checkout WHERE state = 'completed')"
_OPEN = "(SELECT id FROM billing_checkout WHERE state = 'awaiting_payment')"
_DEAD = "(SELECT id FROM billing_checkout WHERE state = 'lapsed')"

_SECOND_USE = (
    "INSERT INTO billing_redemption (organization_id, voucher_id, state, currency, grant_minor, per_organization_limit,"
    " slot, grant_seq, resolved_at) SELECT organization_id, voucher_id, state, currency, grant_minor, 9, 2, grant_seq,"
    " now() FROM billing_redemption LIMIT 1"
)

#: Invariant → what breaks it, in a world with one sold, one open and one lapsed checkout, each with its own voucher.
CONTROLS = {
    "I01": "UPDATE billing_account SET last_seq = last_seq + 1",
    "I02": "UPDATE billing_account SET posted_minor = posted_minor + 1",
    "I03": "UPDATE billing_account SET held_minor = held_minor - 1 WHERE held_minor > 0",
    "I04": "UPDATE billing_ledgerentry SET amount_minor = amount_minor + 1, prev_balance_minor = prev_balance_minor - 1"
    " WHERE kind = 'voucher_grant' AND seq > 1",
    "I05": "UPDATE billing_voucher SET reserved_count = reserved_count + 1",
    "I06": f"UPDATE billing_voucher SET max_redemptions = 1; {_SECOND_USE}",
    "I07": _SECOND_USE,
    "I08": "UPDATE billing_redemption SET grant_minor = grant_minor + 1",
    "I09": f"UPDATE billing_checkout SET state = 'compensated', psp_session_id = NULL, psp_session_url = NULL,"
    f" psp_session_expires_at = NULL, handed_over_at = NULL WHERE id = {_OPEN}",
    "I10": f"UPDATE billing_checkout SET state = 'compensated', psp_session_id = NULL, psp_session_url = NULL,"
    f" psp_session_expires_at = NULL, handed_over_at = NULL WHERE id = {_OPEN}",
    "I11": f"UPDATE billing_order SET state = 'cancelled' WHERE checkout_id = {_OPEN}",
    "I12": f"UPDATE billing_order SET state = 'paid' WHERE checkout_id = {_DEAD}",
    "I13": f"UPDATE billing_order SET state = 'cancelled' WHERE checkout_id = {_SOLD}",
    "I14": f"DELETE FROM billing_checkoutevent WHERE checkout_id = {_SOLD}",
    "I15": "UPDATE core_currency SET psp_step = 7, psp_min_minor = 70 WHERE code = 'OMR'",
    "I16": "UPDATE billing_order SET state = 'cancelled' WHERE state = 'paid'",
    "I17": "UPDATE billing_order SET currency = 'USD'",
    "I18": "UPDATE billing_order SET organization_id = (SELECT max(organization_id) FROM billing_account)",
    "I19": "UPDATE billing_orderline SET unit_minor = unit_minor + 1",
    "I20": "DELETE FROM core_outbox WHERE topic = 'order.paid'",
    "I21": "UPDATE billing_invoice SET credit_refunded_minor = 1",
    "I22": "UPDATE billing_documentcounter SET last_number = last_number + 1",
    "I23": "UPDATE billing_order SET state = 'refunded' WHERE state = 'paid'",
    "I24": f"UPDATE billing_credithold SET state = 'active', resolved_at = NULL WHERE checkout_id = {_DEAD}",
    "I25": "UPDATE billing_checkout SET next_action_at = now() - interval '16 minutes'",
    "I26": "UPDATE billing_redemption SET state = 'reserved', grant_seq = NULL, resolved_at = NULL,"
    " reserved_at = now() - interval '4 minutes' WHERE checkout_id IS NOT NULL",
    "I27": "UPDATE billing_stripeevent SET received_at = now() - interval '73 hours'",
    "I28": "UPDATE billing_pspcall SET state = 'unknown', resolved_at = NULL,"
    " first_sent_at = now() - interval '2 hours'",
    "I29": "UPDATE core_outbox SET created_at = now() - interval '6 minutes'",
    "I29 (order without an invoice)": f"DELETE FROM billing_document; DELETE FROM billing_invoice; UPDATE"
    f" billing_checkout SET updated_at = now() - interval '6 minutes' WHERE id = {_SOLD}",
    "I20 (differing invoice)": "UPDATE billing_invoice SET total_minor = total_minor + 1",
    "I22 (a number is missing)": "UPDATE billing_invoice SET number = number + 1",
    "I24b": "INSERT INTO billing_credithold (organization_id, invoice_id, source, amount_minor, state)"
    " SELECT organization_id, id, 'renewal', 1, 'active' FROM billing_invoice LIMIT 1",
    "I55": "UPDATE billing_subscription SET state = 'past_due', past_due_since = now()",
    "I55 (a step is missing)": "UPDATE billing_subscription SET version = 2",
    "I56": "UPDATE billing_invoice SET order_id = NULL, period = tstzrange(now(), now() + interval '9 years')",
    "I30": f"UPDATE billing_checkout SET state = 'needs_review', updated_at = now() - interval '25 hours'"
    f" WHERE id = {_OPEN}",
}


def _fill(shop: Shop) -> None:
    """Sell one order and bill it, open one, let one lapse; leave one event in the inbox, and a second Organization."""
    shop.buy(voucher_code=shop.code(shop.voucher(60_000)))
    issue_order_invoice(order_number=Order.objects.get().number, now=timezone.now())
    shop.buy(env_type="dev", voucher_code=shop.code(shop.voucher(10_000)))
    lapsing = shop.buy(env_type="stg", voucher_code=shop.code(shop.voucher(10_000)))
    cancel_checkout(checkout=Checkout.objects.get(pk=lapsing.checkout_id), actor="test", now=timezone.now())
    shop.customer("globex")
    StripeEvent.objects.create(id="evt_1", type="x", livemode=False, created=timezone.now(), payload={})


def _broken() -> set[str]:
    return {violation.id.partition(" ")[0] for violation in check_invariants()}


@contextmanager
def _damaged(damage: str) -> Iterator[None]:
    """Do a damage as the owner, whom no trigger hinders; it is undone at the end."""
    with transaction.atomic(durable=True):
        execute("SET LOCAL ROLE NONE")
        execute("SET LOCAL session_replication_role = replica")
        execute(damage)
        yield
        transaction.set_rollback(True)


def test_reports_its_damage(shop: Shop, subtests: pytest.Subtests) -> None:
    _fill(shop)

    for invariant, damage in CONTROLS.items():
        with subtests.test(invariant):
            assert _broken() == set()
            with _damaged(damage):
                assert invariant.partition(" ")[0] in _broken()


def test_every_money_invariant_has_a_control() -> None:
    numbers = {name.partition(" ")[0] for name in registered()}

    assert {f"I{number:02}" for number in range(1, 31)} <= numbers
    money = numbers - {"I38", "I40"}  # the event log's own: tests/core
    assert money == {name.partition(" ")[0] for name in CONTROLS}
