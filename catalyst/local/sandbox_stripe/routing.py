"""An operation: its name, method and path, the shape of its parameters, and the function that does it."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from catalyst.local.sandbox_stripe.account import Account
from catalyst.local.sandbox_stripe.shape import Object
from catalyst.local.sandbox_stripe.wire import Json

_PLACE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Call:
    """What an operation gets: the account, the identifier in the path, and typed parameters."""

    account: Account
    id: str
    parameters: Json
    path: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One line of Stripe's API reference."""

    name: str
    method: str
    template: str
    shape: Object
    run: Callable[[Call], Json]
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pattern", re.compile(_PLACE.sub(r"(?P<id>[^/]+)", self.template)))
