"""The floor: the whole credit-only voucher checkout as one transaction of plain prepared statements, by pgbench.

Against the project's own schema, so every key, check and trigger works here as it does below the product. What the
product adds for people (price list, permissions, idempotency key, audit trail, an answer to read) is not in it.
"""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.seed_facts import FLOOR, GRANT_MINOR, HOT, PRODUCT, VOUCHERS
from bench.stack import HOME, Stack

CLIENTS = 4
_RATE = re.compile(r"tps = ([0-9.]+) \(without")
_DONE = re.compile(r"number of transactions actually processed: (\d+)")
_FAILED = re.compile(r"number of failed transactions: (\d+)")

_SCRIPT = r"""
\set i :i + 1
\set org :base + :client_id * :range + :i
\set voucher {voucher}
BEGIN;
SELECT posted_minor AS posted, held_minor AS held, last_seq AS seq FROM billing_account
  WHERE organization_id = :org FOR NO KEY UPDATE \gset
INSERT INTO billing_checkout (id, organization_id, currency, cart_id, buyer_id, env_type, selection, state, version,
    quote_hash, total_minor, credit_minor, psp_step, psp_min_minor, last_error)
  VALUES (gen_random_uuid(), :org, 'OMR', gen_random_uuid(), 1, 'prod', '{selection}', 'completed', 1,
    '\x{hash}', {total}, {total}, 10, 200, '') RETURNING id AS checkout, cart_id AS cart \gset
INSERT INTO billing_checkoutevent (checkout_id, seq, from_state, to_state, actor, reason)
  VALUES (:checkout, 1, '-', 'completed', 'floor', '');
INSERT INTO billing_order (number, organization_id, checkout_id, buyer_id, currency, state, total_minor, credit_minor,
    monthly_minor)
  VALUES ('FLR-2026-' || nextval('billing_order_number'), :org, :checkout, 1, 'OMR', 'paid', {total}, {total},
    {monthly})
  RETURNING id AS order_id, number AS order_number \gset
INSERT INTO billing_orderline (order_id, position, kind, reference, title, title_ar, quantity, unit_minor) VALUES
  {lines};
INSERT INTO billing_redemption (organization_id, voucher_id, checkout_id, cart_id, state, currency, grant_minor,
    per_organization_limit, slot, grant_seq, resolved_at)
  VALUES (:org, :voucher, :checkout, :cart, 'redeemed', 'OMR', {grant}, 1, 1, :seq + 1, now())
  RETURNING id AS redemption \gset
INSERT INTO billing_ledgerentry (organization_id, seq, amount_minor, balance_after_minor, prev_seq, prev_balance_minor,
    kind, counter_account, idempotency_key, actor, redemption_id, order_id) VALUES
  (:org, :seq + 1, {grant}, :posted + {grant}, :seq, :posted, 'voucher_grant', 'promotion',
    'grant:' || :redemption, 'floor', :redemption, NULL),
  (:org, :seq + 2, -{total}, :posted + {grant} - {total}, :seq + 1, :posted + {grant}, 'order_spend', 'settlement',
    'spend:' || :order_id, 'floor', NULL, :order_id);
UPDATE billing_account SET posted_minor = :posted + {grant} - {total}, last_seq = :seq + 2 WHERE organization_id = :org;
INSERT INTO billing_subscription (organization_id, currency, env_type, order_id, plan, state, collection,
    current_period)
  VALUES (:org, 'OMR', 'prod', :order_id, 's', 'active', 'credit', tstzrange(now(), now() + interval '1 month'));
INSERT INTO core_outbox (dedup_key, topic, stream, payload)
  VALUES ('order.paid:' || :order_id, 'order.paid', 'organization:' || :org,
    jsonb_build_object('order', :order_number::text, 'organization', :org::bigint, 'env_type', 'prod'));
UPDATE billing_voucher SET redeemed_count = redeemed_count + 1
  WHERE id = :voucher AND active AND revoked_at IS NULL AND starts_at <= now() AND (ends_at IS NULL OR ends_at > now())
    AND (max_redemptions IS NULL OR reserved_count + redeemed_count < max_redemptions) RETURNING id AS taken \gset
COMMIT;
"""


class Floor:
    """Runs the script on one load after the other; every transaction buys for an Organization of its own."""

    def __init__(self, stack: Stack, *, rounds: int) -> None:
        self._stack = stack
        # Each of the runs to come, and each client in it, has a part of the Organizations for itself.
        self._range = FLOOR // (2 * rounds * CLIENTS)
        self._base = PRODUCT + 1
        self._scripts = {
            "spread": _write_script("spread", f"random(1, {VOUCHERS})", stack.facts),
            "hot": _write_script("hot", str(HOT), stack.facts),
        }

    def measure(self, load: str, *, seconds: float) -> float:
        """Return transactions per second.

        :raises RuntimeError: a transaction failed.
        """
        variables = {"i": -1, "base": self._base, "range": self._range}
        self._base += CLIENTS * self._range
        command = [
            *(str(self._stack.pgbench), "-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "1"),
            *("-T", str(max(1, round(seconds))), "-f", str(self._scripts[load])),
            *(part for name, value in variables.items() for part in ("-D", f"{name}={value}")),
            *("-h", "127.0.0.1", "-p", str(self._stack.postgres.port), "-U", "catalyst", "catalyst"),
        ]
        environment = {**os.environ, "PGOPTIONS": "-c role=catalyst_app"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        rate, failed, number = (pattern.search(done.stdout) for pattern in (_RATE, _FAILED, _DONE))
        if done.returncode or rate is None or (failed and failed[1] != "0"):
            raise RuntimeError(f"pgbench failed:\n{done.stdout}\n{done.stderr}")
        if number and int(number[1]) > (self._range - 1) * CLIENTS:
            raise RuntimeError("The floor ran out of Organizations; raise FLOOR or shorten the rounds.")
        return float(rate[1])


def _write_script(name: str, voucher: str, facts: Mapping[str, Any]) -> Path:
    lines = ",\n  ".join(
        f"(:order_id, {position}, '{kind}', '{reference}', '{title}', '', 1, {unit})"
        for position, (kind, reference, title, unit) in enumerate(facts["lines"], start=1)
    )
    path = HOME / f"floor-{name}.sql"
    values = {
        "voucher": voucher,
        "selection": '{"plan"\\: "s"}'.replace("\\", ""),
        "hash": "00" * 32,
        "total": facts["total_minor"],
        "monthly": facts["monthly_minor"],
        "grant": GRANT_MINOR,
        "lines": lines,
    }
    path.write_text(_SCRIPT.format(**values))
    return path
