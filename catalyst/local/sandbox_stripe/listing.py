"""Lists in Stripe's form: newest first, with cursors and a filter on ``created``."""

from collections.abc import Callable, Mapping
from typing import Any

from catalyst.local.sandbox_stripe.account import Account
from catalyst.local.sandbox_stripe.shape import Array, Field, Object, Shape
from catalyst.local.sandbox_stripe.wire import Json, StripeRefusal

EXPAND = {"expand": Array(Field(), longest=20)}
_SECONDS = Field("integer")
_PAGE: Mapping[str, Shape] = {
    **EXPAND,
    "limit": Field("integer"),
    "starting_after": Field(),
    "ending_before": Field(),
}
_CREATED = Object({"gte": _SECONDS, "gt": _SECONDS, "lte": _SECONDS, "lt": _SECONDS})
_COMPARE: dict[str, Callable[[int, int], bool]] = {
    "gte": lambda value, bound: value >= bound,
    "gt": lambda value, bound: value > bound,
    "lte": lambda value, bound: value <= bound,
    "lt": lambda value, bound: value < bound,
}


def list_shape(*, created: bool = True, **filters: Shape) -> Object:
    """Return the shape of a list call with the given filters beside the usual cursors."""
    return Object({**_PAGE, **({"created": _CREATED} if created else {}), **filters})


def list_object(data: list[Json], url: str, *, has_more: bool = False) -> Json:
    """Return Stripe's envelope of a list."""
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def list_kind(account: Account, kind: str, parameters: Json, url: str, matches: Callable[[Json], bool]) -> Json:
    """Return one page of the objects that match."""
    created: dict[str, Any] = parameters.get("created", {})
    rows = [
        thing
        for thing in account.store.newest_first(kind)
        if matches(thing) and all(_COMPARE[name](thing["created"], bound) for name, bound in created.items())
    ]
    return page_of(rows, parameters, url)


def page_of(rows: list[Json], parameters: Json, url: str) -> Json:
    """Cut one page out of ordered rows.

    :raises StripeRefusal: a limit outside 1 to 100, or an unknown cursor.
    """
    limit = parameters.get("limit", 10)
    if not 1 <= limit <= 100:
        raise StripeRefusal("Limit must be between 1 and 100.", code="parameter_invalid_integer", param="limit")
    if "ending_before" in parameters:
        rows = rows[: _position(rows, parameters["ending_before"], "ending_before")]
        return list_object(rows[-limit:], url, has_more=len(rows) > limit)
    if "starting_after" in parameters:
        rows = rows[_position(rows, parameters["starting_after"], "starting_after") + 1 :]
    return list_object(rows[:limit], url, has_more=len(rows) > limit)


def _position(rows: list[Json], id_: str, param: str) -> int:
    for index, row in enumerate(rows):
        if row["id"] == id_:
            return index
    raise StripeRefusal(f"No such object: '{id_}'", code="resource_missing", param=param)
