"""Every rule that guards money stands in the database under its name: constraints, indexes, triggers.

Source: docs/ledger.sql. A rule that is renamed or lost in a migration fails here.
"""

import pytest
from django.db import connection

pytestmark = pytest.mark.django_db

# One order of a Voucher per checkout is Django's own name for ``unique=True``: redemption_per_checkout.
CONSTRAINTS = [
    "account_currency",
    "account_no_overdraft",
    "redemption_per_checkout",
    "checkout_after_handover",
    "checkout_before_handover",
    "checkout_cart_key",
    "checkout_charge_billable",
    "checkout_handover_whole",
    "checkout_lease_whole",
    "checkout_org_key",
    "checkout_row_is_an_event",
    "checkout_sold",
    "checkout_split_key",
    "checkoutevent_follows",
    "checkoutevent_legal",
    "checkoutevent_seq",
    "checkoutevent_starts",
    "checkoutevent_step_key",
    "creditnote_credit_key",
    "creditnote_not_empty",
    "creditnote_number",
    "creditnote_org_key",
    "entry_balance_key",
    "entry_chain",
    "entry_follows",
    "entry_grant_key",
    "entry_grant_of_redeemed",
    "entry_no_fork",
    "entry_no_overdraft",
    "entry_once",
    "entry_refund_is_note_credit",
    "entry_reversal",
    "entry_reversal_key",
    "entry_reversed_once",
    "entry_reverses",
    "entry_reversible",
    "entry_seq",
    "entry_sign",
    "entry_source",
    "entry_spend_is_invoice_credit",
    "entry_spend_is_order_credit",
    "hold_owner",
    "hold_resolved",
    "idempotencykey_once",
    "invoice_credit_key",
    "invoice_no_double_billing",
    "invoice_number",
    "invoice_numbered",
    "invoice_org_key",
    "invoice_refund_within_card",
    "invoice_refund_within_credit",
    "order_credit_key",
    "order_org_key",
    "order_split",
    "orderline_sign",
    "pspcall_resolved",
    "redemption_cart",
    "redemption_cart_whole",
    "redemption_direct",
    "redemption_grant_known",
    "redemption_granted_key",
    "redemption_grants_what_voucher_says",
    "redemption_has_its_grant",
    "redemption_limit",
    "redemption_org_key",
    "redemption_resolved",
    "redemption_slot_range",
    "stripeevent_done",
    "subscription_collection",
    "subscription_org_key",
    "voucher_cap",
    "voucher_code_once",
    "voucher_grant_key",
    "voucher_limit_key",
    "voucher_window",
    "checkout_change",
    "creditgrant_decided",
    "creditgrant_entry",
    "creditgrant_granted",
    "creditgrant_second_person",
    "dispute_closed",
    "dispute_invoice",
    "document_credit_note",
    "document_hash",
    "document_invoice",
    "document_of_one",
    "invoice_issued_at",
    "invoice_tax",
    "subscription_canceled_at",
    "subscription_due_since",
    "subscription_suspended_at",
    "subscriptionchange_resolved",
    "subscriptionchange_subscription",
    "subscriptionevent_legal",
    "subscriptionevent_seq",
    "change_author",
    "change_kind",
    "application_removed_by",
    "application_gone_when_removed",
    "applicationsecret_sealed_until_delivered",
    "applicationsecret_somebody",
    "typedsecret_sealed",
    "application_purged_when_gone",
    "change_preview",
    "change_previewed",
    "change_reverts",
    "change_state",
    "change_waits_uncommitted",
    "invitation_email_normal",
    "invitation_one_end",
    "invitation_secret",
    "changeapproval_change",
    "changeapproval_once",
    "changeapproval_preview",
    "changepreview_environment",
    "changepreview_id",
    "environmentpolicy_environment",
    "job_environment",
    "job_finished",
    "job_lease_whole",
    "jobline_job",
    "jobline_number",
    "jobstep_job",
]

INDEXES = [
    "invitation_open_once",
    "checkout_due",
    "checkout_one_open_per_environment",
    "checkout_one_sale_per_cart",
    "entry_one_grant",
    "entry_one_invoice_spend",
    "entry_one_order_spend",
    "entry_one_refund",
    "hold_active",
    "hold_one_per_checkout",
    "hold_one_per_invoice",
    "invoice_one_per_order",
    "pspcall_due",
    "redemption_once_per_cart",
    "redemption_slot",
    "stripeevent_due",
    "subscription_due",
    "subscription_one_live",
    "subscriptionchange_one_open",
    "application_once",
    "change_once_per_cause",
]

TRIGGERS = [
    "account_check",
    "account_guard",
    "applicationsecret_guard",
    "applicationsecret_no_delete",
    "changeapproval_no_change",
    "changepreview_guard",
    "changepreview_no_delete",
    "checkout_check",
    "checkout_guard",
    "checkoutevent_check",
    "checkoutevent_no_truncate",
    "checkoutevent_readonly",
    "creditgrant_guard",
    "creditnote_guard",
    "dispute_guard",
    "document_readonly",
    "entry_check",
    "entry_no_truncate",
    "entry_readonly",
    "hold_check",
    "hold_checkout_check",
    "hold_guard",
    "invoice_guard",
    "jobline_no_change",
    "order_check",
    "order_guard",
    "pspcall_guard",
    "redemption_check",
    "redemption_guard",
    "subscription_guard",
    "subscriptionchange_guard",
    "subscriptionevent_readonly",
    "voucher_guard",
]


def _names(query: str) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return {name for (name,) in cursor.fetchall()}


def test_every_constraint_stands() -> None:
    assert set(CONSTRAINTS) - _names("SELECT conname FROM pg_constraint WHERE convalidated") == set()


def test_every_index_stands() -> None:
    valid = "SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE indisvalid"

    assert set(INDEXES) - _names(valid) == set()


def test_every_trigger_is_armed() -> None:
    assert set(TRIGGERS) - _names("SELECT tgname FROM pg_trigger WHERE tgenabled = 'O'") == set()


def test_the_application_cannot_rewrite_facts() -> None:
    granted = _names(
        "SELECT table_name || ' ' || privilege_type FROM information_schema.table_privileges"
        " WHERE grantee = 'catalyst_app' AND privilege_type IN ('UPDATE', 'DELETE', 'TRUNCATE') AND table_name IN"
        " ('billing_ledgerentry', 'billing_checkoutevent', 'billing_checkouttransition', 'tenancy_auditentry',"
        " 'core_currency', 'billing_subscriptionevent', 'billing_subscriptiontransition', 'billing_document')"
    )

    assert granted == set()


def test_tests_run_with_the_applications_rights() -> None:
    assert _names("SELECT current_user::text") == {"catalyst_app"}
