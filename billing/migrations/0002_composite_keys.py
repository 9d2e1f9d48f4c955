"""Foreign keys over several columns: an Organization's rows can only cite rows of the same Organization, and a ledger
entry can only carry the amount of the thing it cites.
"""

from django.db import migrations

# table, constraint name, columns, referenced table, referenced columns, deferred
KEYS = [
    ("billing_checkout", "checkout_account", "organization_id, currency", "billing_account", "organization_id, currency", False),
    ("billing_checkout", "checkout_row_is_an_event", "id, version, state", "billing_checkoutevent", "checkout_id, seq, to_state", True),
    ("billing_checkoutevent", "checkoutevent_legal", "from_state, to_state", "billing_checkouttransition", "from_state, to_state", False),
    ("billing_checkoutevent", "checkoutevent_follows", "checkout_id, prev_seq, prev_to_state", "billing_checkoutevent", "checkout_id, seq, to_state", False),
    ("billing_order", "order_split", "checkout_id, organization_id, currency, total_minor, credit_minor", "billing_checkout", "id, organization_id, currency, total_minor, credit_minor", False),
    ("billing_redemption", "redemption_account", "organization_id, currency", "billing_account", "organization_id, currency", False),
    ("billing_redemption", "redemption_limit", "voucher_id, per_organization_limit", "billing_voucher", "id, per_organization_limit", False),
    ("billing_redemption", "redemption_grants_what_voucher_says", "voucher_id, currency, grant_minor", "billing_voucher", "id, currency, grant_minor", False),
    ("billing_redemption", "redemption_cart", "checkout_id, organization_id, cart_id", "billing_checkout", "id, organization_id, cart_id", False),
    ("billing_redemption", "redemption_has_its_grant", "organization_id, grant_seq, id, grant_minor", "billing_ledgerentry", "organization_id, seq, redemption_id, amount_minor", True),
    ("billing_subscription", "subscription_account", "organization_id, currency", "billing_account", "organization_id, currency", False),
    ("billing_subscription", "subscription_order", "organization_id, order_id", "billing_order", "organization_id, id", False),
    ("billing_invoice", "invoice_account", "organization_id, currency", "billing_account", "organization_id, currency", False),
    ("billing_invoice", "invoice_order", "organization_id, order_id", "billing_order", "organization_id, id", False),
    ("billing_invoice", "invoice_subscription", "organization_id, subscription_id", "billing_subscription", "organization_id, id", False),
    ("billing_creditnote", "creditnote_invoice", "organization_id, invoice_id", "billing_invoice", "organization_id, id", False),
    ("billing_ledgerentry", "entry_follows", "organization_id, prev_seq, prev_balance_minor", "billing_ledgerentry", "organization_id, seq, balance_after_minor", False),
    ("billing_ledgerentry", "entry_reverses", "organization_id, reverses_seq, reverses_amount_minor, reverses_kind", "billing_ledgerentry", "organization_id, seq, amount_minor, kind", False),
    ("billing_ledgerentry", "entry_grant_of_redeemed", "organization_id, redemption_id, is_grant", "billing_redemption", "organization_id, id, granted", True),
    ("billing_ledgerentry", "entry_spend_is_order_credit", "organization_id, order_id, magnitude_minor", "billing_order", "organization_id, id, credit_minor", False),
    ("billing_ledgerentry", "entry_spend_is_invoice_credit", "organization_id, invoice_id, magnitude_minor", "billing_invoice", "organization_id, id, credit_minor", False),
    ("billing_ledgerentry", "entry_refund_is_note_credit", "organization_id, credit_note_id, magnitude_minor", "billing_creditnote", "organization_id, id, credit_minor", False),
    ("billing_credithold", "hold_checkout", "checkout_id, organization_id, cart_id", "billing_checkout", "id, organization_id, cart_id", False),
    ("billing_credithold", "hold_invoice", "organization_id, invoice_id", "billing_invoice", "organization_id, id", False),
    ("billing_pspcall", "pspcall_checkout", "organization_id, checkout_id", "billing_checkout", "organization_id, id", False),
    ("billing_pspcall", "pspcall_invoice", "organization_id, invoice_id", "billing_invoice", "organization_id, id", False),
    ("billing_pspcall", "pspcall_credit_note", "organization_id, credit_note_id", "billing_creditnote", "organization_id, id", False),
]  # fmt: skip


def _add(table: str, name: str, columns: str, target: str, target_columns: str, deferred: bool) -> migrations.RunSQL:
    wait = " DEFERRABLE INITIALLY DEFERRED" if deferred else ""
    return migrations.RunSQL(
        f"ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY ({columns})"
        f" REFERENCES {target} ({target_columns}){wait};",
        f"ALTER TABLE {table} DROP CONSTRAINT {name};",
    )


class Migration(migrations.Migration):
    dependencies = [("billing", "0001_initial")]

    operations = [_add(*key) for key in KEYS]
