"""Coupons: create, retrieve, delete, list, and what makes one usable."""

import re
from http import HTTPStatus

from catalyst.local.sandbox_stripe.account import Account
from catalyst.local.sandbox_stripe.amounts import check_amount, check_currency
from catalyst.local.sandbox_stripe.listing import EXPAND, list_kind, list_shape
from catalyst.local.sandbox_stripe.routing import Call, Operation
from catalyst.local.sandbox_stripe.shape import Field, Object
from catalyst.local.sandbox_stripe.wire import Json, StripeRefusal

_ID = re.compile(r"[A-Za-z0-9_-]{1,200}")
_SHAPE = Object(
    {
        **EXPAND,
        "amount_off": Field("integer"),
        "currency": Field(),
        "duration": Field(choices=("forever", "once", "repeating")),
        "duration_in_months": Field("integer"),
        "id": Field(),
        "max_redemptions": Field("integer"),
        "metadata": Field("metadata"),
        "name": Field(longest=40),
        "percent_off": Field("integer"),
        "redeem_by": Field("integer"),
    }
)


def usable_coupon(account: Account, id_: str, param: str) -> Json:
    """Return a coupon that a session may use now.

    :raises StripeRefusal: unknown, past its date, or used up.
    """
    coupon = with_validity(account, account.find("coupon", id_, param, HTTPStatus.BAD_REQUEST))
    if not coupon["valid"]:
        message = f"Coupon {id_} is expired and cannot be applied."
        raise StripeRefusal(message, code="coupon_expired", param=param)
    return coupon


def with_validity(account: Account, coupon: Json) -> Json:
    """Return the coupon with ``valid`` as of now."""
    is_early = coupon["redeem_by"] is None or account.clock.now() < coupon["redeem_by"]
    has_place = coupon["max_redemptions"] is None or coupon["times_redeemed"] < coupon["max_redemptions"]
    coupon["valid"] = is_early and has_place
    return coupon


def _create(call: Call) -> Json:
    given = {name: value for name, value in call.parameters.items() if name != "expand"}
    id_ = given.pop("id", "") or call.account.new_id("co")
    _check(call.account, id_, given)
    amount = given.get("amount_off")
    defaults = {"amount_off": None, "currency": None, "duration": "once", "duration_in_months": None}
    thing = call.account.create(
        "coupon",
        id_,
        **{
            **defaults,
            "max_redemptions": None,
            "metadata": {},
            "name": None,
            "percent_off": None,
            "redeem_by": None,
            **given,
            "currency": given["currency"].lower() if amount else None,
            "times_redeemed": 0,
            "valid": True,
        },
    )
    call.account.emit("coupon.created", thing)
    return thing


def _check(account: Account, id_: str, given: Json) -> None:
    if not _ID.fullmatch(id_):
        raise StripeRefusal(f"Invalid coupon id: {id_}", param="id")
    if account.store.get("coupon", id_):
        raise StripeRefusal("Coupon already exists.", code="resource_already_exists", param="id")
    if ("amount_off" in given) == ("percent_off" in given):
        raise StripeRefusal("You must pass either amount_off or percent_off.", code="parameter_missing")
    if "amount_off" in given:
        if "currency" not in given:
            raise StripeRefusal("You must pass currency with amount_off.", code="parameter_missing", param="currency")
        currency = check_currency(given["currency"], "currency")
        check_amount(given["amount_off"], currency, "amount_off", least=1)
    elif not 0 < given["percent_off"] <= 100:
        raise StripeRefusal("percent_off must be between 0 and 100.", param="percent_off")
    _check_limits(account, given)


def _check_limits(account: Account, given: Json) -> None:
    if given.get("redeem_by", account.clock.now() + 1) <= account.clock.now():
        raise StripeRefusal("redeem_by must be in the future.", code="parameter_invalid_integer", param="redeem_by")
    if given.get("max_redemptions", 1) < 1:
        raise StripeRefusal("This value must be at least 1.", code="parameter_invalid_integer", param="max_redemptions")
    if (given.get("duration") == "repeating") != ("duration_in_months" in given):
        raise StripeRefusal("duration_in_months goes with duration=repeating.", param="duration_in_months")


def _delete(call: Call) -> Json:
    thing = call.account.find("coupon", call.id)
    call.account.store.delete("coupon", call.id)
    call.account.emit("coupon.deleted", thing)
    return {"id": call.id, "object": "coupon", "deleted": True}


def _list(call: Call) -> Json:
    result = list_kind(call.account, "coupon", call.parameters, call.path, lambda thing: True)
    result["data"] = [with_validity(call.account, thing) for thing in result["data"]]
    return result


OPERATIONS = [
    Operation("coupons.create", "POST", "/v1/coupons", _SHAPE, _create),
    Operation(
        "coupons.retrieve",
        "GET",
        "/v1/coupons/{coupon}",
        Object(EXPAND),
        lambda call: with_validity(call.account, call.account.find("coupon", call.id)),
    ),
    Operation("coupons.delete", "DELETE", "/v1/coupons/{coupon}", Object({}), _delete),
    Operation("coupons.list", "GET", "/v1/coupons", list_shape(), _list),
]
