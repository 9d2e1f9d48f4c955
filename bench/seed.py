"""The data of one run: many Organizations that can buy once each, 10,000 vouchers, one hot and one scarce voucher.

Rows come by ``generate_series`` with triggers and foreign keys off, which is quick and could be wrong; so the project's
own invariants are checked before anything is measured. Prints a JSON object with what the rows need to know.
"""

import json
from typing import Any

from django.db import connection
from django.utils import timezone

from bench.seed_facts import (
    BLUEPRINT,
    FLOOR,
    GRANT_MINOR,
    PLAN,
    PRODUCT,
    SCARCE,
    SCARCE_CAP,
    WEBHOOK_SECRET,
    voucher_code,
)
from billing.models import BillingSettings, Voucher
from billing.services.voucher_codes import code_key, normalize_code
from catalyst.core.crypto import seal
from catalyst.core.invariants import check_invariants
from marketplace.selectors.selection import price_selection

_PEOPLE = f"""
SET session_replication_role = replica;
INSERT INTO tenancy_organization (id, uuid, slug, name, name_ar)
  SELECT n, gen_random_uuid(), 'bench-' || lpad(n::text, 7, '0'), 'Bench ' || n, ''
  FROM generate_series(1, {PRODUCT + FLOOR}) AS n;
INSERT INTO tenancy_user (id, uuid, password, email, display_name, language, staff_role, staff_groups, is_active)
  SELECT n, gen_random_uuid(), '!', 'buyer' || n || '@bench.example', '', 'en', '', '[]', true
  FROM generate_series(1, {PRODUCT}) AS n;
INSERT INTO tenancy_membership (organization_id, user_id, role)
  SELECT n, n, 'org-admin' FROM generate_series(1, {PRODUCT}) AS n;
INSERT INTO tenancy_apitoken (uuid, token_hash, hint, name, user_id, env_type, scopes)
  SELECT gen_random_uuid(), sha256(convert_to('cat_bench' || lpad(n::text, 8, '0'), 'UTF8')), '', 'bench', n, '', '{{}}'
  FROM generate_series(1, {PRODUCT}) AS n;
INSERT INTO billing_account (organization_id, currency)
  SELECT n, 'OMR' FROM generate_series(1, {PRODUCT + FLOOR}) AS n;
INSERT INTO billing_ledgerentry (organization_id, seq, amount_minor, balance_after_minor, kind, counter_account,
    idempotency_key, actor)
  SELECT n, 0, 0, 0, 'opening', 'opening', 'opening', 'system' FROM generate_series(1, {PRODUCT + FLOOR}) AS n;
SET session_replication_role = origin;
"""


def main() -> None:
    """Write the rows and print the facts."""
    with connection.cursor() as cursor:
        cursor.execute(_PEOPLE)
    _make_vouchers()
    BillingSettings.objects.create(
        pk=1,
        stripe_webhook_secret_sealed=seal(WEBHOOK_SECRET, place="billing_billingsettings:1:stripe_webhook_secret"),
    )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")
    broken = check_invariants()
    if broken:
        raise SystemExit(f"The seed is wrong: {broken}")
    print(json.dumps(_facts()))


def _make_vouchers() -> None:
    caps = {SCARCE: SCARCE_CAP}
    Voucher.objects.bulk_create(_voucher(number, caps.get(number)) for number in range(1, SCARCE + 1))


def _voucher(number: int, cap: int | None) -> Voucher:
    normal = normalize_code(voucher_code(number)) or ""
    key = code_key(normal)
    return Voucher(
        id=number,
        code_key=key,
        code_sealed=seal(normal, place=f"billing_voucher:code:{key.hex()}", scope="sovereign"),
        code_hint=normal[-4:],
        currency_id="OMR",
        grant_minor=GRANT_MINOR,
        max_redemptions=cap,
    )


def _facts() -> dict[str, Any]:
    priced = price_selection(
        plan=PLAN, blueprints=[BLUEPRINT], addons=[], bundle="", currency="OMR", at=timezone.now(), organization=None
    )
    return {
        "total_minor": priced.total_minor,
        "monthly_minor": priced.monthly_minor,
        "lines": [[line.kind, line.reference, line.title_en, line.unit_minor] for line in priced.lines],
    }
