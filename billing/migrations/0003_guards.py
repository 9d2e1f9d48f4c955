"""Triggers that refuse edits of facts and half-written transactions, the legal steps of a checkout, and the rights of
the application's role. Nothing is ever computed or repaired by a trigger.
"""

from django.db import migrations

APPEND_ONLY = {"entry": "billing_ledgerentry", "checkoutevent": "billing_checkoutevent"}

STEPS = [
    ("-", "reserved"),
    ("-", "completed"),
    ("reserved", "session_requested"),
    ("reserved", "compensated"),
    ("session_requested", "awaiting_payment"),
    ("session_requested", "compensated"),
    ("awaiting_payment", "completed"),
    ("awaiting_payment", "payment_processing"),
    ("awaiting_payment", "expiring"),
    ("awaiting_payment", "needs_review"),
    ("payment_processing", "completed"),
    ("payment_processing", "lapsed"),
    ("payment_processing", "needs_review"),
    ("expiring", "lapsed"),
    ("expiring", "completed"),
    ("expiring", "payment_processing"),
    ("expiring", "needs_review"),
    ("compensated", "late_payment"),
    ("lapsed", "late_payment"),
    ("late_payment", "completed"),
    ("late_payment", "refunding"),
    ("late_payment", "needs_review"),
    ("refunding", "refunded"),
    ("needs_review", "completed"),
    ("needs_review", "lapsed"),
    ("needs_review", "refunding"),
]

# trigger, table, columns that may change, columns that may be set once, legal steps of "state"
GUARDS = [
    ("account_guard", "billing_account", "posted_minor,held_minor,last_seq,frozen_at", "psp_customer_id", ""),
    ("voucher_guard", "billing_voucher", "reserved_count,redeemed_count,active,code_sealed", "revoked_at", ""),
    (
        "redemption_guard",
        "billing_redemption",
        "state,granted",
        "grant_seq,resolved_at",
        "reserved>redeemed,reserved>released,redeemed>reversed",
    ),
    (
        "order_guard",
        "billing_order",
        "state",
        "",
        "pending_payment>paid,pending_payment>cancelled,cancelled>paid,paid>refunded",
    ),
    ("hold_guard", "billing_credithold", "state", "resolved_at", "active>captured,active>voided"),
    (
        "creditnote_guard",
        "billing_creditnote",
        "state",
        "psp_refund_id",
        "issued>refund_pending,issued>settled,refund_pending>settled,refund_pending>refund_failed",
    ),
    (
        "pspcall_guard",
        "billing_pspcall",
        "state,http_status,next_action_at",
        "first_sent_at,object_id,resolved_at",
        (
            "requested>succeeded,requested>rejected,requested>unknown,requested>absent,requested>voided,"
            "unknown>succeeded,unknown>rejected,unknown>absent,unknown>voided"
        ),
    ),
    (
        "checkout_guard",
        "billing_checkout",
        "state,version,lease_owner,lease_until,next_action_at,last_error,updated_at",
        "psp_session_id,psp_session_url,psp_session_expires_at,handed_over_at",
        ",".join(f"{start}>{end}" for start, end in STEPS if start != "-"),
    ),
]

INVOICE_GUARD = """
CREATE TRIGGER invoice_guard AFTER UPDATE ON billing_invoice FOR EACH ROW WHEN (old.state <> 'draft')
  EXECUTE FUNCTION guard_row('state,credit_refunded_minor,card_refunded_minor', 'psp_invoice_id',
    'open>paid,open>void,open>uncollectible,uncollectible>paid,uncollectible>void');
"""

NO_DELETE = [
    "account",
    "voucher",
    "redemption",
    "checkout",
    "order",
    "orderline",
    "credithold",
    "invoice",
    "creditnote",
    "pspcall",
]

ACCOUNT_CONSISTENT = """
CREATE FUNCTION account_consistent() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  a billing_account%rowtype;
  t record;
  h bigint;
BEGIN
  SELECT * INTO a FROM billing_account WHERE organization_id = new.organization_id;
  SELECT seq, balance_after_minor b INTO t FROM billing_ledgerentry
    WHERE organization_id = new.organization_id ORDER BY seq DESC LIMIT 1;
  SELECT coalesce(sum(amount_minor), 0) INTO h FROM billing_credithold
    WHERE organization_id = new.organization_id AND state = 'active';
  IF t.seq IS NULL OR t.seq <> a.last_seq OR t.b <> a.posted_minor OR h <> a.held_minor THEN
    RAISE EXCEPTION 'account % is inconsistent: row (%, %, %), chain (%, %), holds %',
      a.organization_id, a.last_seq, a.posted_minor, a.held_minor, t.seq, t.b, h
      USING errcode = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END $$;
"""

# The table "state and what exists" of docs/checkout.md.
CHECKOUT_CONSISTENT = """
CREATE FUNCTION checkout_consistent() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  k uuid := (to_jsonb(new) ->> tg_argv[0])::uuid;
  s billing_checkout%rowtype;
  o billing_order%rowtype;
  r text;
  v bigint := 0;
  held bigint;
  captured bigint;
  spent bigint;
  last int;
  ok boolean;
BEGIN
  IF k IS NULL THEN
    RETURN NULL;
  END IF;
  SELECT * INTO s FROM billing_checkout WHERE id = k;
  SELECT * INTO o FROM billing_order WHERE checkout_id = k;
  SELECT state, grant_minor INTO r, v FROM billing_redemption WHERE checkout_id = k;
  SELECT coalesce(sum(amount_minor) FILTER (WHERE state = 'active'), 0),
         coalesce(sum(amount_minor) FILTER (WHERE state = 'captured'), 0)
    INTO held, captured FROM billing_credithold WHERE checkout_id = k;
  SELECT coalesce(-sum(amount_minor), 0) INTO spent FROM billing_ledgerentry
    WHERE order_id = o.id AND kind = 'order_spend';
  SELECT max(seq) INTO last FROM billing_checkoutevent WHERE checkout_id = k;
  ok := last = s.version AND CASE
    WHEN s.state IN ('reserved', 'session_requested') THEN
      coalesce(r, 'reserved') = 'reserved' AND o.state = 'pending_payment'
      AND held = greatest(s.credit_minor - coalesce(v, 0), 0) AND captured = 0 AND spent = 0
    WHEN s.state IN ('awaiting_payment', 'payment_processing', 'expiring') THEN
      coalesce(r, 'redeemed') IN ('redeemed', 'reversed') AND o.state = 'pending_payment'
      AND held = s.credit_minor AND captured = 0 AND spent = 0
    WHEN s.state = 'completed' THEN
      coalesce(r, 'redeemed') IN ('redeemed', 'reversed') AND o.state IN ('paid', 'refunded')
      AND held = 0 AND captured IN (0, s.credit_minor) AND spent = s.credit_minor
    WHEN s.state = 'compensated' THEN
      coalesce(r, 'released') = 'released' AND o.state = 'cancelled' AND held = 0 AND captured = 0 AND spent = 0
    WHEN s.state = 'lapsed' THEN
      coalesce(r, 'redeemed') IN ('redeemed', 'reversed') AND o.state = 'cancelled'
      AND held = 0 AND captured = 0 AND spent = 0
    WHEN s.state IN ('late_payment', 'refunding', 'refunded') THEN
      coalesce(r, 'released') <> 'reserved' AND o.state = 'cancelled' AND held = 0 AND captured = 0 AND spent = 0
    WHEN s.state = 'needs_review' THEN
      coalesce(r, 'released') <> 'reserved' AND held IN (0, s.credit_minor) AND captured = 0 AND spent = 0
      AND o.state = CASE WHEN held = 0 AND s.credit_minor > 0 THEN 'cancelled' ELSE o.state END
      AND o.state IN ('pending_payment', 'cancelled')
    END;
  IF ok IS DISTINCT FROM true THEN
    RAISE EXCEPTION
      'checkout % is inconsistent: state % v%/%, order %, redemption %, held %, captured %, spent %',
      k, s.state, s.version, last, o.state, r, held, captured, spent
      USING errcode = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END $$;
"""

# trigger, events, table, function and argument; all at COMMIT
CHECKS = [
    ("account_check", "INSERT OR UPDATE", "billing_account", "account_consistent()"),
    ("entry_check", "INSERT", "billing_ledgerentry", "account_consistent()"),
    ("hold_check", "INSERT OR UPDATE", "billing_credithold", "account_consistent()"),
    ("checkout_check", "INSERT OR UPDATE", "billing_checkout", "checkout_consistent('id')"),
    ("checkoutevent_check", "INSERT", "billing_checkoutevent", "checkout_consistent('checkout_id')"),
    ("order_check", "INSERT OR UPDATE", "billing_order", "checkout_consistent('checkout_id')"),
    ("redemption_check", "INSERT OR UPDATE", "billing_redemption", "checkout_consistent('checkout_id')"),
    ("hold_checkout_check", "INSERT OR UPDATE", "billing_credithold", "checkout_consistent('checkout_id')"),
]


def _trigger(name: str, table: str, definition: str) -> migrations.RunSQL:
    return migrations.RunSQL(f"CREATE TRIGGER {name} {definition};", f"DROP TRIGGER {name} ON {table};")


class Migration(migrations.Migration):
    dependencies = [("billing", "0002_composite_keys")]

    operations = [
        migrations.RunSQL(
            "INSERT INTO billing_checkouttransition (from_state, to_state) VALUES "
            + ", ".join(f"('{start}', '{end}')" for start, end in STEPS),
            "DELETE FROM billing_checkouttransition;",
        ),
        *(
            operation
            for name, table in APPEND_ONLY.items()
            for operation in (
                _trigger(
                    f"{name}_readonly",
                    table,
                    f"BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION forbid_mutation()",
                ),
                _trigger(
                    f"{name}_no_truncate",
                    table,
                    f"BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION forbid_mutation()",
                ),
            )
        ),
        *(
            _trigger(
                name,
                table,
                f"AFTER UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION guard_row('{free}', '{once}', '{steps}')",
            )
            for name, table, free, once, steps in GUARDS
        ),
        migrations.RunSQL(INVOICE_GUARD, "DROP TRIGGER invoice_guard ON billing_invoice;"),
        *(
            _trigger(
                f"{name}_no_delete",
                f"billing_{name}",
                f"BEFORE DELETE ON billing_{name} FOR EACH ROW EXECUTE FUNCTION forbid_mutation()",
            )
            for name in NO_DELETE
        ),
        migrations.RunSQL(ACCOUNT_CONSISTENT, "DROP FUNCTION account_consistent();"),
        migrations.RunSQL(CHECKOUT_CONSISTENT, "DROP FUNCTION checkout_consistent();"),
        *(
            migrations.RunSQL(
                f"CREATE CONSTRAINT TRIGGER {name} AFTER {events} ON {table}"
                f" DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION {function};",
                f"DROP TRIGGER {name} ON {table};",
            )
            for name, events, table, function in CHECKS
        ),
        # The name that the design gives to "one code per checkout".
        migrations.RunSQL(
            "ALTER TABLE billing_redemption RENAME CONSTRAINT billing_redemption_checkout_id_key"
            " TO redemption_per_checkout;",
            "ALTER TABLE billing_redemption RENAME CONSTRAINT redemption_per_checkout"
            " TO billing_redemption_checkout_id_key;",
        ),
        migrations.RunSQL(
            "CREATE SEQUENCE billing_order_number; GRANT USAGE ON SEQUENCE billing_order_number TO catalyst_app;",
            "DROP SEQUENCE billing_order_number;",
        ),
        migrations.RunSQL(
            "REVOKE DELETE ON "
            + ", ".join(f"billing_{name}" for name in [*NO_DELETE, "ledgerentry", "checkoutevent", "subscription"])
            + " FROM catalyst_app;"
            "REVOKE UPDATE ON billing_ledgerentry, billing_checkoutevent, billing_orderline FROM catalyst_app;"
            "REVOKE INSERT, UPDATE, DELETE ON billing_checkouttransition FROM catalyst_app;",
            migrations.RunSQL.noop,
        ),
    ]
