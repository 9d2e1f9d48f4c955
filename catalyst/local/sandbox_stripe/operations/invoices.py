"""Invoices and their payments: retrieve, list, finalize, pay, void, mark uncollectible."""

from http import HTTPStatus

from catalyst.local.sandbox_stripe.invoicing import (
    collect_invoice,
    finalize_invoice,
    give_up_invoice,
    subscription_of,
    void_invoice,
)
from catalyst.local.sandbox_stripe.listing import EXPAND, list_kind, list_shape
from catalyst.local.sandbox_stripe.operations.customers import check_method
from catalyst.local.sandbox_stripe.routing import Call, Operation
from catalyst.local.sandbox_stripe.shape import Field, Object
from catalyst.local.sandbox_stripe.wire import Json, StripeRefusal

_ONE = "/v1/invoices/{invoice}"


def _retrieve(call: Call) -> Json:
    return call.account.find("invoice", call.id)


def _list(call: Call) -> Json:
    customer, subscription = call.parameters.get("customer"), call.parameters.get("subscription")
    status = call.parameters.get("status")
    return list_kind(
        call.account,
        "invoice",
        call.parameters,
        call.path,
        lambda thing: (
            (not customer or thing["customer"] == customer)
            and (not status or thing["status"] == status)
            and (not subscription or subscription_of(thing) == subscription)
        ),
    )


def _pay(call: Call) -> Json:
    """Collect out of turn. A decline is answered by 402 and counts as an attempt."""
    invoice = _retrieve(call)
    if invoice["status"] == "draft":
        finalize_invoice(call.account, invoice)
    if invoice["status"] == "paid":
        raise StripeRefusal("Invoice is already paid", code="invoice_already_paid")
    if invoice["status"] == "void":
        raise StripeRefusal("This invoice is void and cannot be paid.")
    given = {"default_payment_method": call.parameters.get("payment_method", "")}
    method = check_method(call.account, given, invoice["customer"]) or ""
    if not collect_invoice(call.account, invoice, method_id=method):
        raise StripeRefusal(
            "Your card was declined.",
            status=HTTPStatus.PAYMENT_REQUIRED,
            type_="card_error",
            code="card_declined",
            keeps_effect=True,
        )
    return invoice


def _list_payments(call: Call) -> Json:
    invoice = call.parameters.get("invoice")
    return list_kind(
        call.account,
        "invoice_payment",
        call.parameters,
        call.path,
        lambda thing: not invoice or thing["invoice"] == invoice,
    )


OPERATIONS = [
    Operation("invoices.retrieve", "GET", _ONE, Object(EXPAND), _retrieve),
    Operation(
        "invoices.list",
        "GET",
        "/v1/invoices",
        list_shape(
            customer=Field(),
            subscription=Field(),
            status=Field(choices=("draft", "open", "paid", "uncollectible", "void")),
        ),
        _list,
    ),
    Operation(
        "invoices.finalize",
        "POST",
        f"{_ONE}/finalize",
        Object({**EXPAND, "auto_advance": Field("boolean")}),
        lambda call: finalize_invoice(call.account, _retrieve(call)),
    ),
    Operation(
        "invoices.pay",
        "POST",
        f"{_ONE}/pay",
        Object({**EXPAND, "off_session": Field("boolean"), "payment_method": Field()}),
        _pay,
    ),
    Operation(
        "invoices.void",
        "POST",
        f"{_ONE}/void",
        Object(EXPAND),
        lambda call: void_invoice(call.account, _retrieve(call)),
    ),
    Operation(
        "invoices.mark_uncollectible",
        "POST",
        f"{_ONE}/mark_uncollectible",
        Object(EXPAND),
        lambda call: give_up_invoice(call.account, _retrieve(call)),
    ),
    Operation(
        "invoice_payments.list", "GET", "/v1/invoice_payments", list_shape(invoice=Field(required=True)), _list_payments
    ),
]
