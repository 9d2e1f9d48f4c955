"""Subscriptions and invoices as far as a checkout makes them: retrieve, list, cancel."""

from catalyst.local.sandbox_stripe.listing import EXPAND, list_kind, list_shape
from catalyst.local.sandbox_stripe.routing import Call, Operation
from catalyst.local.sandbox_stripe.shape import Field, Object
from catalyst.local.sandbox_stripe.wire import Json, StripeRefusal

_SUBSCRIPTION_STATES = ("active", "canceled", "incomplete", "incomplete_expired", "past_due", "unpaid", "all", "ended")


def _list_subscriptions(call: Call) -> Json:
    customer, status = call.parameters.get("customer"), call.parameters.get("status")

    def matches(thing: Json) -> bool:
        if customer and thing["customer"] != customer:
            return False
        # Without a filter Stripe leaves the canceled ones out.
        if status is None:
            return bool(thing["status"] != "canceled")
        return bool(status == "all" or thing["status"] == ("canceled" if status == "ended" else status))

    return list_kind(call.account, "subscription", call.parameters, call.path, matches)


def _cancel(call: Call) -> Json:
    account = call.account
    thing = account.find("subscription", call.id)
    if thing["status"] == "canceled":
        raise StripeRefusal(f"No such subscription: '{call.id}'", status=404, code="resource_missing", param="id")
    now = account.clock.now()
    account.save(thing, status="canceled", canceled_at=now, ended_at=now)
    account.emit("customer.subscription.deleted", thing)
    return thing


def _list_invoices(call: Call) -> Json:
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
            and (not subscription or thing["parent"]["subscription_details"]["subscription"] == subscription)
        ),
    )


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
    Operation(
        "subscriptions.retrieve",
        "GET",
        "/v1/subscriptions/{subscription}",
        Object(EXPAND),
        lambda call: call.account.find("subscription", call.id),
    ),
    Operation(
        "subscriptions.list",
        "GET",
        "/v1/subscriptions",
        list_shape(customer=Field(), status=Field(choices=_SUBSCRIPTION_STATES)),
        _list_subscriptions,
    ),
    Operation(
        "subscriptions.cancel",
        "DELETE",
        "/v1/subscriptions/{subscription}",
        Object({**EXPAND, "invoice_now": Field("boolean"), "prorate": Field("boolean")}),
        _cancel,
    ),
    Operation(
        "invoices.retrieve",
        "GET",
        "/v1/invoices/{invoice}",
        Object(EXPAND),
        lambda call: call.account.find("invoice", call.id),
    ),
    Operation(
        "invoices.list",
        "GET",
        "/v1/invoices",
        list_shape(
            customer=Field(),
            subscription=Field(),
            status=Field(choices=("draft", "open", "paid", "uncollectible", "void")),
        ),
        _list_invoices,
    ),
    Operation(
        "invoice_payments.list", "GET", "/v1/invoice_payments", list_shape(invoice=Field(required=True)), _list_payments
    ),
]
