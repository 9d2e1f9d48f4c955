"""The checks at COMMIT do their work once for each transaction instead of three and four times, with the same strength.

A check compares rows of one account or checkout as they stand at COMMIT, so a second run on the same rows finds what the
first found. Each trigger therefore checks only what the row that fired it can have broken:

- An account is compared with the end of its chain and its holds when its own row or a hold changes. A new entry can
  break that only as the chain's new end, beyond what the account's row says: ``entry_check`` refuses just that. An entry
  that is not beyond it either left the end as it was, or stands under an account's row of the same transaction.
- A checkout is compared with what hangs on it when its own row changes. A new step can break that only beyond the
  version of its row: ``checkoutevent_check`` refuses just that.
- No checkout passes without its order, and it has only one. So an order is new only together with its checkout, whose
  own check is due: ``order_check`` asks at changes.
- A checkout that is sold passes with and without a redeemed voucher: there a new redemption breaks nothing.
"""

from importlib import import_module

from django.db import migrations

_before = import_module("billing.migrations.0003_guards")

ACCOUNT_CONSISTENT = """
CREATE OR REPLACE FUNCTION account_consistent() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  a record;
BEGIN
  SELECT c.organization_id, c.last_seq, c.posted_minor, c.held_minor, t.seq, t.balance_after_minor AS b,
      (SELECT coalesce(sum(amount_minor), 0) FROM billing_credithold
        WHERE organization_id = c.organization_id AND state = 'active') AS h
    INTO a
    FROM billing_account AS c
    LEFT JOIN LATERAL (SELECT seq, balance_after_minor FROM billing_ledgerentry
      WHERE organization_id = c.organization_id ORDER BY seq DESC LIMIT 1) AS t ON true
   WHERE c.organization_id = new.organization_id;
  IF a.seq IS NULL OR a.seq <> a.last_seq OR a.b <> a.posted_minor OR a.h <> a.held_minor THEN
    RAISE EXCEPTION 'account % is inconsistent: row (%, %, %), chain (%, %), holds %',
      new.organization_id, a.last_seq, a.posted_minor, a.held_minor, a.seq, a.b, a.h
      USING errcode = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END $$;
"""

ENTRY_CONSISTENT = """
CREATE FUNCTION entry_consistent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (SELECT last_seq >= new.seq FROM billing_account WHERE organization_id = new.organization_id) IS NOT TRUE THEN
    RAISE EXCEPTION 'account % is inconsistent: its row does not know entry %', new.organization_id, new.seq
      USING errcode = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END $$;
"""

CHECKOUTEVENT_CONSISTENT = """
CREATE FUNCTION checkoutevent_consistent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (SELECT version >= new.seq FROM billing_checkout WHERE id = new.checkout_id) IS NOT TRUE THEN
    RAISE EXCEPTION 'checkout % is inconsistent: its row does not know step %', new.checkout_id, new.seq
      USING errcode = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END $$;
"""

# The table "state and what exists" of docs/checkout.md, read by one statement.
CHECKOUT_CONSISTENT = """
CREATE OR REPLACE FUNCTION checkout_consistent() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  k uuid;
  s record;
  ok boolean;
BEGIN
  IF tg_argv[0] = 'id' THEN
    k := new.id;
  ELSE
    k := new.checkout_id;
  END IF;
  IF k IS NULL THEN
    RETURN NULL;
  END IF;
  IF tg_op = 'INSERT' AND tg_table_name = 'billing_redemption' THEN
    IF new.state = 'redeemed' AND EXISTS (SELECT FROM billing_checkout WHERE id = k AND state = 'completed') THEN
      RETURN NULL;
    END IF;
  END IF;
  SELECT c.state, c.version, c.credit_minor, o.state AS o, r.state AS r, coalesce(r.grant_minor, 0) AS v,
      h.held, h.captured,
      (SELECT coalesce(-sum(amount_minor), 0) FROM billing_ledgerentry
        WHERE order_id = o.id AND kind = 'order_spend') AS spent,
      (SELECT max(seq) FROM billing_checkoutevent WHERE checkout_id = k) AS last
    INTO s
    FROM billing_checkout AS c
    LEFT JOIN billing_order AS o ON o.checkout_id = c.id
    LEFT JOIN billing_redemption AS r ON r.checkout_id = c.id
    CROSS JOIN LATERAL (SELECT coalesce(sum(amount_minor) FILTER (WHERE state = 'active'), 0) AS held,
        coalesce(sum(amount_minor) FILTER (WHERE state = 'captured'), 0) AS captured
      FROM billing_credithold WHERE checkout_id = c.id) AS h
   WHERE c.id = k;
  ok := s.last = s.version AND CASE
    WHEN s.state IN ('reserved', 'session_requested') THEN
      coalesce(s.r, 'reserved') = 'reserved' AND s.o = 'pending_payment'
      AND s.held = greatest(s.credit_minor - s.v, 0) AND s.captured = 0 AND s.spent = 0
    WHEN s.state IN ('awaiting_payment', 'payment_processing', 'expiring') THEN
      coalesce(s.r, 'redeemed') IN ('redeemed', 'reversed') AND s.o = 'pending_payment'
      AND s.held = s.credit_minor AND s.captured = 0 AND s.spent = 0
    WHEN s.state = 'completed' THEN
      coalesce(s.r, 'redeemed') IN ('redeemed', 'reversed') AND s.o IN ('paid', 'refunded')
      AND s.held = 0 AND s.captured IN (0, s.credit_minor) AND s.spent = s.credit_minor
    WHEN s.state = 'compensated' THEN
      coalesce(s.r, 'released') = 'released' AND s.o = 'cancelled'
      AND s.held = 0 AND s.captured = 0 AND s.spent = 0
    WHEN s.state = 'lapsed' THEN
      coalesce(s.r, 'redeemed') IN ('redeemed', 'reversed') AND s.o = 'cancelled'
      AND s.held = 0 AND s.captured = 0 AND s.spent = 0
    WHEN s.state IN ('late_payment', 'refunding', 'refunded') THEN
      coalesce(s.r, 'released') <> 'reserved' AND s.o = 'cancelled'
      AND s.held = 0 AND s.captured = 0 AND s.spent = 0
    WHEN s.state = 'needs_review' THEN
      coalesce(s.r, 'released') <> 'reserved' AND s.held IN (0, s.credit_minor) AND s.captured = 0 AND s.spent = 0
      AND s.o = CASE WHEN s.held = 0 AND s.credit_minor > 0 THEN 'cancelled' ELSE s.o END
      AND s.o IN ('pending_payment', 'cancelled')
    END;
  IF ok IS DISTINCT FROM true THEN
    RAISE EXCEPTION
      'checkout % is inconsistent: state % v%/%, order %, redemption %, held %, captured %, spent %',
      k, s.state, s.version, s.last, s.o, s.r, s.held, s.captured, s.spent
      USING errcode = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END $$;
"""

# trigger, table, before, now: events and function, all at COMMIT
CHECKS = [
    ("entry_check", "billing_ledgerentry", ("INSERT", "account_consistent()"), ("INSERT", "entry_consistent()")),
    (
        "checkoutevent_check",
        "billing_checkoutevent",
        ("INSERT", "checkout_consistent('checkout_id')"),
        ("INSERT", "checkoutevent_consistent()"),
    ),
    (
        "order_check",
        "billing_order",
        ("INSERT OR UPDATE", "checkout_consistent('checkout_id')"),
        ("UPDATE", "checkout_consistent('checkout_id')"),
    ),
]


def _check(name: str, table: str, check: tuple[str, str]) -> str:
    events, function = check
    return (
        f"DROP TRIGGER {name} ON {table}; CREATE CONSTRAINT TRIGGER {name} AFTER {events} ON {table}"
        f" DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION {function};"
    )


def _again(function: str) -> str:
    return function.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1)


class Migration(migrations.Migration):
    dependencies = [("billing", "0003_guards")]

    operations = [
        migrations.RunSQL(ACCOUNT_CONSISTENT, _again(_before.ACCOUNT_CONSISTENT)),
        migrations.RunSQL(CHECKOUT_CONSISTENT, _again(_before.CHECKOUT_CONSISTENT)),
        migrations.RunSQL(ENTRY_CONSISTENT, "DROP FUNCTION entry_consistent();"),
        migrations.RunSQL(CHECKOUTEVENT_CONSISTENT, "DROP FUNCTION checkoutevent_consistent();"),
        *(
            migrations.RunSQL(_check(name, table, now), _check(name, table, before))
            for name, table, before, now in CHECKS
        ),
    ]
