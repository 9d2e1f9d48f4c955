"""What must always hold about money, as queries that return nothing. Source: docs/invariants.md.

I01 to I24 hold at every commit; I25 to I30 hold while the processor and the workers are healthy.
"""

from catalyst.core.invariants import register

_ALWAYS = {
    "I01 account row equals the tail of its chain": """
SELECT a.organization_id FROM billing_account a
LEFT JOIN LATERAL (SELECT seq, balance_after_minor b FROM billing_ledgerentry e
  WHERE e.organization_id = a.organization_id ORDER BY seq DESC LIMIT 1) t ON true
WHERE t.seq IS DISTINCT FROM a.last_seq OR t.b IS DISTINCT FROM a.posted_minor
""",
    "I02 account row equals the sum of its entries, nobody below zero": """
SELECT a.organization_id FROM billing_account a LEFT JOIN billing_ledgerentry e USING (organization_id)
GROUP BY a.organization_id
HAVING coalesce(sum(e.amount_minor), 0) <> a.posted_minor OR a.posted_minor - a.held_minor < 0
""",
    "I03 held equals active holds": """
SELECT a.organization_id FROM billing_account a
LEFT JOIN billing_credithold h ON h.organization_id = a.organization_id AND h.state = 'active'
GROUP BY a.organization_id HAVING coalesce(sum(h.amount_minor), 0) <> a.held_minor
""",
    "I04 chain without a gap, stored balances are prefix sums": """
SELECT organization_id, seq FROM (
  SELECT organization_id, seq, balance_after_minor b, sum(amount_minor) OVER w s, row_number() OVER w - 1 n
  FROM billing_ledgerentry WINDOW w AS (PARTITION BY organization_id ORDER BY seq)) x
WHERE b <> s OR seq <> n
""",
    "I05 voucher counters equal rows": """
SELECT v.id FROM billing_voucher v LEFT JOIN billing_redemption r ON r.voucher_id = v.id GROUP BY v.id
HAVING v.reserved_count <> count(*) FILTER (WHERE r.state = 'reserved')
  OR v.redeemed_count <> count(*) FILTER (WHERE r.state = 'redeemed')
""",
    "I06 voucher cap": """
SELECT v.id FROM billing_voucher v
JOIN billing_redemption r ON r.voucher_id = v.id AND r.state IN ('reserved', 'redeemed')
GROUP BY v.id HAVING count(*) > v.max_redemptions
""",
    "I07 uses per Organization, and once per cart": """
SELECT r.voucher_id, r.organization_id FROM billing_redemption r JOIN billing_voucher v ON v.id = r.voucher_id
WHERE r.state IN ('reserved', 'redeemed')
GROUP BY r.voucher_id, r.organization_id, v.per_organization_limit
HAVING count(*) > v.per_organization_limit OR count(r.cart_id) > count(DISTINCT r.cart_id)
""",
    "I08 redeemed has one exact grant, reversed nets to zero, others have none": """
SELECT r.id FROM billing_redemption r
LEFT JOIN billing_ledgerentry g ON g.redemption_id = r.id AND g.kind = 'voucher_grant'
LEFT JOIN billing_ledgerentry x ON x.organization_id = g.organization_id AND x.reverses_seq = g.seq
GROUP BY r.id
HAVING count(g.id) <> (r.state IN ('redeemed', 'reversed'))::int
  OR coalesce(sum(g.amount_minor), r.grant_minor) <> r.grant_minor
  OR coalesce(sum(x.amount_minor), 0) <> CASE r.state WHEN 'reversed' THEN -r.grant_minor ELSE 0 END
""",
    "I09 before the hand-over nothing is granted, spent or handed over": """
SELECT k.id FROM billing_checkout k
LEFT JOIN billing_redemption r ON r.checkout_id = k.id LEFT JOIN billing_order o ON o.checkout_id = k.id
WHERE k.state IN ('reserved', 'session_requested', 'compensated')
  AND (k.handed_over_at IS NOT NULL OR r.state NOT IN ('reserved', 'released') OR o.state = 'paid'
    OR EXISTS (SELECT FROM billing_ledgerentry e WHERE e.redemption_id = r.id OR e.order_id = o.id))
""",
    "I10 compensated: reservation released, order cancelled, nothing held": """
SELECT k.id FROM billing_checkout k LEFT JOIN billing_order o ON o.checkout_id = k.id
WHERE k.state = 'compensated' AND (o.state IS DISTINCT FROM 'cancelled'
  OR EXISTS (SELECT FROM billing_redemption r WHERE r.checkout_id = k.id AND r.state <> 'released')
  OR EXISTS (SELECT FROM billing_credithold h WHERE h.checkout_id = k.id AND h.state <> 'voided'))
""",
    "I11 handed over and open: redeemed, credit held in full, order pending": """
SELECT k.id FROM billing_checkout k LEFT JOIN billing_order o ON o.checkout_id = k.id
WHERE k.state IN ('awaiting_payment', 'payment_processing', 'expiring')
  AND (k.handed_over_at IS NULL OR o.state IS DISTINCT FROM 'pending_payment'
    OR EXISTS (SELECT FROM billing_redemption r WHERE r.checkout_id = k.id AND r.state IN ('reserved', 'released'))
    OR (SELECT coalesce(sum(amount_minor), 0) FROM billing_credithold h
        WHERE h.checkout_id = k.id AND h.state = 'active') <> k.credit_minor)
""",
    "I12 dead after the hand-over: nothing held or sold, the grant stays": """
SELECT k.id FROM billing_checkout k
LEFT JOIN billing_order o ON o.checkout_id = k.id LEFT JOIN billing_redemption r ON r.checkout_id = k.id
WHERE k.state IN ('lapsed', 'late_payment', 'refunding', 'refunded')
  AND (o.state IS DISTINCT FROM 'cancelled' OR r.state = 'reserved'
    OR (k.handed_over_at IS NOT NULL AND r.state = 'released')
    OR EXISTS (SELECT FROM billing_credithold h WHERE h.checkout_id = k.id AND h.state <> 'voided')
    OR EXISTS (SELECT FROM billing_ledgerentry e WHERE e.order_id = o.id))
""",
    "I13 completed: order paid, spend is the credit part, nothing held or reserved": """
SELECT k.id FROM billing_checkout k LEFT JOIN billing_order o ON o.checkout_id = k.id
LEFT JOIN billing_ledgerentry e ON e.order_id = o.id AND e.kind = 'order_spend'
WHERE k.state = 'completed'
  AND (o.id IS NULL OR o.state NOT IN ('paid', 'refunded') OR coalesce(-e.amount_minor, 0) <> k.credit_minor
    OR o.credit_minor + o.card_minor <> k.total_minor OR o.card_minor <> k.charge_minor
    OR EXISTS (SELECT FROM billing_credithold h WHERE h.checkout_id = k.id AND h.state = 'active')
    OR EXISTS (SELECT FROM billing_redemption r WHERE r.checkout_id = k.id AND r.state IN ('reserved', 'released')))
""",
    "I14 checkout row equals its gapless history": """
SELECT k.id FROM billing_checkout k
LEFT JOIN LATERAL (SELECT max(seq) m, count(*) n, (array_agg(to_state ORDER BY seq DESC))[1] s
  FROM billing_checkoutevent e WHERE e.checkout_id = k.id) t ON true
WHERE t.m IS DISTINCT FROM k.version OR t.n IS DISTINCT FROM k.version OR t.s IS DISTINCT FROM k.state
""",
    "I15 card money only after a hand-over, in amounts that can be billed": """
SELECT k.id FROM billing_checkout k JOIN core_currency c ON c.code = k.currency
WHERE (k.state = 'completed' AND k.charge_minor > 0 AND k.psp_session_id IS NULL)
  OR (k.charge_minor <> 0 AND (mod(k.charge_minor, c.psp_step) <> 0 OR k.charge_minor < c.psp_min_minor))
""",
    "I16 every spend belongs to a sold order, no spend is reversed": """
SELECT e.organization_id, e.seq FROM billing_ledgerentry e LEFT JOIN billing_order o ON o.id = e.order_id
WHERE (e.kind = 'order_spend' AND (o.state IS NULL OR o.state NOT IN ('paid', 'refunded')))
  OR e.reverses_kind IN ('order_spend', 'invoice_spend')
""",
    "I17 currency never mixes": """
SELECT o.id FROM billing_order o JOIN billing_checkout k ON k.id = o.checkout_id
JOIN billing_account a ON a.organization_id = o.organization_id
WHERE o.currency <> k.currency OR o.currency <> a.currency
""",
    "I18 an entry belongs to the Organization of all it cites": """
SELECT e.organization_id, e.seq FROM billing_ledgerentry e
LEFT JOIN billing_order o ON o.id = e.order_id LEFT JOIN billing_redemption r ON r.id = e.redemption_id
LEFT JOIN billing_invoice i ON i.id = e.invoice_id LEFT JOIN billing_creditnote n ON n.id = e.credit_note_id
WHERE e.organization_id <> ANY (array_remove(
  ARRAY[o.organization_id, r.organization_id, i.organization_id, n.organization_id], NULL))
""",
    "I19 order lines add up to the order": """
SELECT o.id FROM billing_order o LEFT JOIN billing_orderline l ON l.order_id = o.id GROUP BY o.id
HAVING coalesce(sum(l.total_minor), 0) <> o.total_minor
""",
    # That a sold order has its invoice is I29: a worker writes it a moment later.
    "I20 a sold order has one order.paid event, an unsold one none, nobody a second or differing invoice": """
SELECT o.id FROM billing_order o
LEFT JOIN billing_invoice i ON i.order_id = o.id AND i.state <> 'void'
LEFT JOIN core_outbox b ON b.dedup_key = 'order.paid:' || o.id
GROUP BY o.id
HAVING count(DISTINCT b.id) <> (o.state IN ('paid', 'refunded'))::int
  OR count(DISTINCT i.id) > (o.state IN ('paid', 'refunded'))::int
  OR bool_or(i.total_minor <> o.total_minor OR i.credit_minor <> o.credit_minor)
""",
    "I21 credit notes equal the refund counters, per tender": """
SELECT i.id FROM billing_invoice i LEFT JOIN billing_creditnote n ON n.invoice_id = i.id
GROUP BY i.id
HAVING coalesce(sum(n.credit_minor), 0) <> i.credit_refunded_minor
  OR coalesce(sum(n.card_minor) FILTER (WHERE n.state <> 'refund_failed'), 0) <> i.card_refunded_minor
""",
    "I22 document numbers are gapless and equal their counter": """
SELECT coalesce(d.series, c.series) FROM (
  SELECT series, max(number) AS last, count(*) AS documents FROM (
    SELECT series, number FROM billing_invoice WHERE number IS NOT NULL
    UNION ALL SELECT series, number FROM billing_creditnote) x GROUP BY series) d
FULL JOIN billing_documentcounter c USING (series)
WHERE d.last IS DISTINCT FROM c.last_number OR d.documents IS DISTINCT FROM c.last_number
""",
    "I23 a live subscription has a paid order": """
SELECT s.id FROM billing_subscription s JOIN billing_order o ON o.id = s.order_id
WHERE s.state IN ('active', 'past_due') AND o.state <> 'paid'
""",
    "I24 a hold or reservation has an owner that can still resolve it": """
SELECT 'hold', h.id FROM billing_credithold h JOIN billing_checkout k ON k.id = h.checkout_id
WHERE h.state = 'active'
  AND k.state IN ('completed', 'compensated', 'lapsed', 'late_payment', 'refunding', 'refunded')
UNION ALL
SELECT 'redemption', r.id FROM billing_redemption r JOIN billing_checkout k ON k.id = r.checkout_id
WHERE r.state = 'reserved' AND k.state NOT IN ('reserved', 'session_requested')
""",
    "I24b credit set aside for a renewal has an invoice that can still take it": """
SELECT h.id FROM billing_credithold h JOIN billing_invoice i ON i.id = h.invoice_id
WHERE h.state = 'active' AND i.state NOT IN ('draft', 'open')
""",
    "I55 a subscription is its last step, and its history has no gap": """
SELECT s.id FROM billing_subscription s
LEFT JOIN billing_subscriptionevent e ON e.subscription_id = s.id AND e.seq = s.version
WHERE (s.version = 1 AND s.state <> 'active')
  OR (s.version > 1 AND (e.to_state, e.plan, e.monthly_minor) IS DISTINCT FROM (s.state, s.plan, s.monthly_minor))
  OR s.version <> 1 + (SELECT count(*) FROM billing_subscriptionevent h WHERE h.subscription_id = s.id)
""",
    "I56 a paid period was given, and its credit part spent": """
SELECT i.id FROM billing_invoice i JOIN billing_subscription s ON s.id = i.subscription_id
LEFT JOIN billing_ledgerentry e ON e.invoice_id = i.id AND e.kind = 'invoice_spend'
WHERE i.state = 'paid' AND i.order_id IS NULL
  AND (coalesce(-e.amount_minor, 0) <> i.credit_minor
    OR (s.state <> 'canceled' AND upper(i.period) > upper(s.current_period)))
""",
}

_WHILE_HEALTHY = {
    "I25 no checkout is overdue": """
SELECT id FROM billing_checkout
WHERE state NOT IN ('completed', 'compensated', 'lapsed', 'refunded', 'needs_review')
  AND next_action_at < now() - interval '15 minutes'
""",
    "I26 no reservation outlives a request": """
SELECT id FROM billing_redemption WHERE state = 'reserved' AND reserved_at < now() - interval '3 minutes'
""",
    "I27 webhook inbox drained": """
SELECT id FROM billing_stripeevent
WHERE state = 'dead' OR (state = 'pending' AND (next_attempt_at < now() - interval '15 minutes'
  OR received_at < now() - interval '72 hours'))
""",
    "I28 no processor call without an outcome": """
SELECT id FROM billing_pspcall
WHERE state IN ('requested', 'unknown') AND coalesce(first_sent_at, next_action_at) < now() - interval '90 minutes'
""",
    "I29 outbox drained, sold orders invoiced": """
SELECT 'event', id FROM core_outbox WHERE sent_at IS NULL AND created_at < now() - interval '5 minutes'
UNION ALL
SELECT 'order', o.id FROM billing_order o JOIN billing_checkout k ON k.id = o.checkout_id
WHERE o.state = 'paid' AND k.updated_at < now() - interval '5 minutes'
  AND NOT EXISTS (SELECT FROM billing_invoice i WHERE i.order_id = o.id AND i.state <> 'void')
""",
    "I30 nobody forgotten in review": """
SELECT id FROM billing_checkout WHERE state = 'needs_review' AND updated_at < now() - interval '24 hours'
""",
}

for _name, _sql in {**_ALWAYS, **_WHILE_HEALTHY}.items():
    register(_name, _sql)
