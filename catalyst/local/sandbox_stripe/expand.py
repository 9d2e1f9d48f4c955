"""Expansion: replaces an identifier in a reply by the object it names, as ``expand[]`` asks.

Source: docs.stripe.com/api/expanding_objects (paths with dots, at most four levels, ``data.`` first in lists).
"""

from typing import Any

from catalyst.local.sandbox_stripe.account import Account
from catalyst.local.sandbox_stripe.listing import list_object
from catalyst.local.sandbox_stripe.wire import Json, StripeRefusal

_DEEPEST = 4
#: Member name → kind of the object that it names.
_KIND = {
    "charge": "charge",
    "customer": "customer",
    "default_payment_method": "payment_method",
    "invoice": "invoice",
    "latest_charge": "charge",
    "latest_invoice": "invoice",
    "payment_intent": "payment_intent",
    "payment_method": "payment_method",
    "setup_intent": "setup_intent",
    "subscription": "subscription",
}


def expand(account: Account, thing: Json, paths: list[str]) -> Json:
    """Return the object with every path expanded.

    :raises StripeRefusal: a path too deep or not expandable.
    """
    for path in paths:
        segments = path.split(".")
        if len(segments) > _DEEPEST + (segments[0] == "data"):
            raise StripeRefusal(f"You cannot expand more than {_DEEPEST} levels of a property: {path}", param="expand")
        _expand_path(account, thing, segments, path)
    return thing


def _expand_path(account: Account, node: Any, segments: list[str], path: str) -> None:
    if not segments or node is None:
        return
    if isinstance(node, list):
        for item in node:
            _expand_path(account, item, segments, path)
        return
    name, rest = segments[0], segments[1:]
    if not isinstance(node, dict):
        raise _cannot(path)
    _include(account, node, name)
    if name not in node:
        raise _cannot(path)
    value = node[name]
    if isinstance(value, str):
        if name not in _KIND:
            raise _cannot(path)
        node[name] = value = account.find(_KIND[name], value)
    _expand_path(account, value, rest, path)


def _include(account: Account, node: Json, name: str) -> None:
    """Add a list that an object carries only when asked for."""
    if node.get("object") == "checkout.session" and name == "line_items" and name not in node:
        node[name] = list_object(node["_line_items"], f"/v1/checkout/sessions/{node['id']}/line_items")
    if node.get("object") == "invoice" and name == "payments" and name not in node:
        payments = [row for row in account.store.newest_first("invoice_payment") if row["invoice"] == node["id"]]
        node[name] = list_object(payments, "/v1/invoice_payments")
    if node.get("object") == "charge" and name == "refunds" and name not in node:
        refunds = [row for row in account.store.newest_first("refund") if row["charge"] == node["id"]]
        node[name] = list_object(refunds, f"/v1/charges/{node['id']}/refunds")


def _cannot(path: str) -> StripeRefusal:
    return StripeRefusal(f"This property cannot be expanded ({path}).", param="expand")
