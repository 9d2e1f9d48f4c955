"""Payment intents, charges, refunds and disputes."""

from http import HTTPStatus

from catalyst.local.sandbox_stripe.account import Account
from catalyst.local.sandbox_stripe.amounts import check_amount
from catalyst.local.sandbox_stripe.listing import EXPAND, list_kind, list_shape
from catalyst.local.sandbox_stripe.reversals import is_held_by_dispute
from catalyst.local.sandbox_stripe.routing import Call, Operation
from catalyst.local.sandbox_stripe.shape import Field, Object
from catalyst.local.sandbox_stripe.wire import Json, StripeRefusal

_REFUND = Object(
    {
        **EXPAND,
        "amount": Field("integer"),
        "charge": Field(),
        "metadata": Field("metadata"),
        "payment_intent": Field(),
        "reason": Field(choices=("duplicate", "fraudulent", "requested_by_customer")),
    }
)


def _charge_of(account: Account, given: Json) -> Json:
    if ("charge" in given) == ("payment_intent" in given):
        raise StripeRefusal("You must pass one of charge and payment_intent.", code="parameter_missing", param="charge")
    if "charge" in given:
        return account.find("charge", given["charge"], "charge", HTTPStatus.BAD_REQUEST)
    intent = account.find("payment_intent", given["payment_intent"], "payment_intent", HTTPStatus.BAD_REQUEST)
    if intent["latest_charge"] is None:
        raise StripeRefusal("This PaymentIntent does not have a successful charge to refund.", param="payment_intent")
    return account.find("charge", intent["latest_charge"], "payment_intent", HTTPStatus.BAD_REQUEST)


def _create(call: Call) -> Json:
    account, given = call.account, call.parameters
    charge = _charge_of(account, given)
    if not charge["paid"] or not charge["captured"]:
        raise StripeRefusal(f"Charge {charge['id']} has not been captured.", code="charge_not_captured")
    if is_held_by_dispute(account, charge["id"]):
        message = f"Charge {charge['id']} has been charged back; cannot issue a refund."
        raise StripeRefusal(message, code="charge_disputed")
    left = charge["amount_captured"] - charge["amount_refunded"]
    if left == 0:
        message = f"Charge {charge['id']} has already been refunded."
        raise StripeRefusal(message, code="charge_already_refunded")
    amount = check_amount(given.get("amount", left), charge["currency"], "amount", least=1)
    if amount > left:
        message = f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})"
        raise StripeRefusal(message, param="amount")
    refunded = charge["amount_refunded"] + amount
    account.save(charge, amount_refunded=refunded, refunded=refunded == charge["amount_captured"])
    refund = account.create(
        "refund",
        account.new_id("re"),
        amount=amount,
        balance_transaction=None,
        charge=charge["id"],
        currency=charge["currency"],
        metadata=given.get("metadata", {}),
        payment_intent=charge["payment_intent"],
        reason=given.get("reason"),
        receipt_number=None,
        source_transfer_reversal=None,
        status="succeeded",
        transfer_reversal=None,
    )
    account.emit("refund.created", refund)
    account.emit("charge.refunded", charge)
    return refund


def _list(call: Call, kind: str) -> Json:
    charge, intent = call.parameters.get("charge"), call.parameters.get("payment_intent")
    return list_kind(
        call.account,
        kind,
        call.parameters,
        call.path,
        lambda thing: (not charge or thing["charge"] == charge) and (not intent or thing["payment_intent"] == intent),
    )


OPERATIONS = [
    Operation(
        "payment_intents.retrieve",
        "GET",
        "/v1/payment_intents/{intent}",
        Object(EXPAND),
        lambda call: call.account.find("payment_intent", call.id),
    ),
    Operation(
        "charges.retrieve",
        "GET",
        "/v1/charges/{charge}",
        Object(EXPAND),
        lambda call: call.account.find("charge", call.id),
    ),
    Operation("refunds.create", "POST", "/v1/refunds", _REFUND, _create),
    Operation(
        "refunds.retrieve",
        "GET",
        "/v1/refunds/{refund}",
        Object(EXPAND),
        lambda call: call.account.find("refund", call.id),
    ),
    Operation(
        "refunds.list",
        "GET",
        "/v1/refunds",
        list_shape(charge=Field(), payment_intent=Field()),
        lambda call: _list(call, "refund"),
    ),
    Operation(
        "disputes.retrieve",
        "GET",
        "/v1/disputes/{dispute}",
        Object(EXPAND),
        lambda call: call.account.find("dispute", call.id),
    ),
    Operation(
        "disputes.list",
        "GET",
        "/v1/disputes",
        list_shape(charge=Field(), payment_intent=Field()),
        lambda call: _list(call, "dispute"),
    ),
]
