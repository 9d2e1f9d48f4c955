"""What the database refuses about subscriptions, their changes, invoices, documents, disputes and grants."""

from django.db import migrations

# from, to: the one table of allowed moves. A step to itself is a change of what is billed.
STEPS = [
    ("active", "active"),
    ("active", "past_due"),
    ("active", "canceled"),
    ("past_due", "active"),
    ("past_due", "suspended"),
    ("past_due", "canceled"),
    ("suspended", "active"),
    ("suspended", "canceled"),
]

# table, constraint name, columns, referenced table, referenced columns
KEYS = [
    ("billing_subscriptionevent", "subscriptionevent_legal", "from_state, to_state", "billing_subscriptiontransition", "from_state, to_state"),
    ("billing_subscriptionchange", "subscriptionchange_subscription", "organization_id, subscription_id", "billing_subscription", "organization_id, id"),
    ("billing_checkout", "checkout_change", "organization_id, change_id", "billing_subscriptionchange", "organization_id, id"),
    ("billing_document", "document_invoice", "organization_id, invoice_id", "billing_invoice", "organization_id, id"),
    ("billing_document", "document_credit_note", "organization_id, credit_note_id", "billing_creditnote", "organization_id, id"),
    ("billing_dispute", "dispute_invoice", "organization_id, invoice_id", "billing_invoice", "organization_id, id"),
    ("billing_creditgrant", "creditgrant_granted", "organization_id, entry_seq", "billing_ledgerentry", "organization_id, seq"),
]  # fmt: skip

# trigger, table, columns that may change, columns that may be set once, legal steps of "state"
GUARDS = [
    (
        "subscription_guard",
        "billing_subscription",
        (
            "state,version,items,monthly_minor,plan,collection,current_period,psp_seen_at,past_due_since,suspended_at,"
            "cancel_at_period_end,next_action_at"
        ),
        "psp_subscription_id,canceled_at",
        ",".join(f"{start}>{end}" for start, end in STEPS),
    ),
    (
        "subscriptionchange_guard",
        "billing_subscriptionchange",
        "state",
        "resolved_at",
        "pending>applied,pending>dropped,scheduled>applied,scheduled>dropped",
    ),
    ("dispute_guard", "billing_dispute", "state", "invoice_id,closed_at", "open>won,open>lost"),
    (
        "creditgrant_guard",
        "billing_creditgrant",
        "state",
        "decided_by_id,decided_at,entry_seq",
        "requested>granted,requested>declined",
    ),
]

INVOICE_GUARD = """
CREATE TRIGGER invoice_guard AFTER UPDATE ON billing_invoice FOR EACH ROW WHEN (old.state <> 'draft')
  EXECUTE FUNCTION guard_row('state,credit_refunded_minor,card_refunded_minor%s', 'psp_invoice_id%s',
    'open>paid,open>void,open>uncollectible,uncollectible>paid,uncollectible>void');
"""
INVOICE_GUARD_NOW = INVOICE_GUARD % (",card_disputed_minor", ",paid_at")
INVOICE_GUARD_BEFORE = INVOICE_GUARD % ("", "")

APPEND_ONLY = {
    "subscriptionevent": "billing_subscriptionevent",
    "document": "billing_document",
    "voucherbatch": "billing_voucherbatch",
}
NO_DELETE = ["subscription", "subscriptionchange", "dispute", "creditgrant"]


def _trigger(name: str, table: str, body: str) -> migrations.RunSQL:
    return migrations.RunSQL(f"CREATE TRIGGER {name} {body};", f"DROP TRIGGER {name} ON {table};")


class Migration(migrations.Migration):
    dependencies = [("billing", "0005_life_cycle")]

    operations = [
        migrations.RunSQL(
            "INSERT INTO billing_subscriptiontransition (from_state, to_state) VALUES "
            + ", ".join(f"('{start}', '{end}')" for start, end in STEPS),
            "DELETE FROM billing_subscriptiontransition;",
        ),
        *(
            migrations.RunSQL(
                f"ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY ({columns})"
                f" REFERENCES {target} ({target_columns});",
                f"ALTER TABLE {table} DROP CONSTRAINT {name};",
            )
            for table, name, columns, target, target_columns in KEYS
        ),
        *(
            _trigger(
                name,
                table,
                f"AFTER UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION guard_row('{free}', '{once}', '{steps}')",
            )
            for name, table, free, once, steps in GUARDS
        ),
        migrations.RunSQL(
            f"DROP TRIGGER invoice_guard ON billing_invoice; {INVOICE_GUARD_NOW}",
            f"DROP TRIGGER invoice_guard ON billing_invoice; {INVOICE_GUARD_BEFORE}",
        ),
        *(
            _trigger(
                f"{name}_readonly",
                table,
                f"BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION forbid_mutation()",
            )
            for name, table in APPEND_ONLY.items()
        ),
        *(
            _trigger(
                f"{name}_no_delete",
                f"billing_{name}",
                f"BEFORE DELETE ON billing_{name} FOR EACH ROW EXECUTE FUNCTION forbid_mutation()",
            )
            for name in NO_DELETE
        ),
        migrations.RunSQL(
            "REVOKE DELETE ON "
            + ", ".join([*(f"billing_{name}" for name in NO_DELETE), *APPEND_ONLY.values()])
            + " FROM catalyst_app;"
            f"REVOKE UPDATE ON {', '.join(APPEND_ONLY.values())} FROM catalyst_app;"
            "REVOKE INSERT, UPDATE, DELETE ON billing_subscriptiontransition FROM catalyst_app;",
            migrations.RunSQL.noop,
        ),
    ]
