"""Invoices as the API shows them: shapes for the published schema, and the answers themselves."""

from typing import Any

from rest_framework import serializers

from billing.models import BillingDetails
from billing.selectors.invoices import ShownInvoice
from catalyst.core.money import Money
from marketplace.api.serializers import MoneyOutput

Answer = dict[str, Any]


class InvoiceLineOutput(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=["plan", "blueprint", "addon", "discount", "rounding"])
    reference = serializers.CharField()
    title = serializers.CharField()
    title_ar = serializers.CharField()
    quantity = serializers.IntegerField()
    unit = MoneyOutput()
    total = MoneyOutput()


class PartyOutput(serializers.Serializer[Any]):
    name = serializers.CharField()
    name_ar = serializers.CharField()
    address = serializers.CharField()
    vatin = serializers.CharField()


class CreditNoteOutput(serializers.Serializer[Any]):
    number = serializers.CharField()
    uuid = serializers.UUIDField()
    state = serializers.ChoiceField(choices=["issued", "refund_pending", "settled", "refund_failed"])
    total = MoneyOutput()
    credit = MoneyOutput(help_text="Back to the balance.")
    card = MoneyOutput(help_text="Back to the card.")
    tax = MoneyOutput()
    reason = serializers.CharField()
    issued_at = serializers.DateTimeField()


class InvoiceOutput(serializers.Serializer[Any]):
    number = serializers.CharField()
    uuid = serializers.UUIDField()
    state = serializers.ChoiceField(choices=["open", "paid", "void", "uncollectible"])
    order = serializers.CharField(allow_null=True)
    period_start = serializers.DateTimeField(allow_null=True)
    period_end = serializers.DateTimeField(allow_null=True)
    total = MoneyOutput(help_text="VAT included.")
    credit = MoneyOutput()
    card = MoneyOutput()
    tax = MoneyOutput()
    tax_percent = serializers.CharField()
    lines = InvoiceLineOutput(many=True)
    seller = PartyOutput()
    buyer = PartyOutput()
    credit_notes = CreditNoteOutput(many=True)
    issued_at = serializers.DateTimeField()
    due_at = serializers.DateTimeField(allow_null=True)
    paid_at = serializers.DateTimeField(allow_null=True)


class BillingDetailsOutput(serializers.Serializer[Any]):
    name = serializers.CharField()
    address = serializers.CharField()
    vatin = serializers.CharField()
    email = serializers.CharField()


def invoice(shown: ShownInvoice) -> Answer:
    row, currency = shown.row, shown.row.currency_id
    return {
        "number": shown.number,
        "uuid": row.uuid,
        "state": row.state,
        "order": row.order.number if row.order else None,
        "period_start": row.period.lower if row.period else None,
        "period_end": row.period.upper if row.period else None,
        "total": Money(row.total_minor, currency).as_json(),
        "credit": Money(row.credit_minor, currency).as_json(),
        "card": Money(row.card_minor, currency).as_json(),
        "tax": Money(row.tax_minor, currency).as_json(),
        "tax_percent": str(row.tax_percent),
        "lines": [_line(line, currency) for line in row.lines],
        "seller": _party(row.seller),
        "buyer": _party(row.buyer),
        "credit_notes": [
            {
                "number": note.number,
                "uuid": note.row.uuid,
                "state": note.row.state,
                "total": Money(note.total_minor, currency).as_json(),
                "credit": Money(note.row.credit_minor, currency).as_json(),
                "card": Money(note.row.card_minor, currency).as_json(),
                "tax": Money(note.row.tax_minor, currency).as_json(),
                "reason": note.row.reason,
                "issued_at": note.row.issued_at,
            }
            for note in shown.notes
        ],
        "issued_at": row.issued_at,
        "due_at": row.due_at,
        "paid_at": row.paid_at,
    }


def billing_details(row: BillingDetails) -> Answer:
    return {"name": row.name, "address": row.address, "vatin": row.vatin, "email": row.email}


def _line(line: Answer, currency: str) -> Answer:
    return {
        **{name: line[name] for name in ("kind", "reference", "title", "title_ar", "quantity")},
        "unit": Money(line["unit_minor"], currency).as_json(),
        "total": Money(line["total_minor"], currency).as_json(),
    }


def _party(facts: Answer) -> Answer:
    return {name: facts.get(name, "") for name in ("name", "name_ar", "address", "vatin")}
