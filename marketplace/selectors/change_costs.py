"""What a Change costs, as the app that knows what was sold says it. Amounts are minor units.

Nothing here knows of orders: like ``capacity.register_capacity``, this lets an app that lies higher answer.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tenancy.models import Environment, User


@dataclass(frozen=True, slots=True)
class Cost:
    """``due_now`` is what applying takes today. ``is_sale``: it has to be bought, even when it costs nothing."""

    currency: str
    monthly_before: int
    monthly_after: int
    due_now: int
    is_sale: bool
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        def money(amount: int) -> dict[str, Any]:
            return {"amount": amount, "currency": self.currency}

        return {
            "monthly_before": money(self.monthly_before),
            "monthly_after": money(self.monthly_after),
            "due_now": money(self.due_now),
            "is_sale": self.is_sale,
            "note": self.note,
        }


#: Environment, Blueprints that come by a person's wish, names of bought Applications that go, now → what that costs.
CostSource = Callable[[Environment, Collection[str], Collection[str], datetime], Cost | None]
_sources: list[CostSource] = []


def register_cost(source: CostSource) -> CostSource:
    """Let an app that lies higher say what a Change costs."""
    _sources.append(source)
    return source


def cost_of(
    environment: Environment, *, added: Collection[str], removed: Collection[str], now: datetime
) -> Cost | None:
    """Return what it costs to add these Blueprints and to remove these Applications; None where nothing is sold."""
    found = (source(environment, added, removed, now) for source in _sources)
    return next((cost for cost in found if cost is not None), None)


#: Environment, the preview's id, Blueprints with the settings that they are to have, actor, now → the Order's number.
PurchaseSource = Callable[[Environment, str, Mapping[str, Mapping[str, Any]], User, datetime], str]
_purchases: list[PurchaseSource] = []


def register_purchase(source: PurchaseSource) -> PurchaseSource:
    """Let an app that lies higher sell what a Change brings."""
    _purchases.append(source)
    return source


def buy(
    environment: Environment,
    *,
    preview_id: str,
    blueprints: Mapping[str, Mapping[str, Any]],
    actor: User,
    now: datetime,
) -> str:
    """Buy what a preview brings and return the Order's number, empty where nobody sells; the same preview buys once.

    Call outside every transaction. Refusals are those of whoever sells.
    """
    return _purchases[0](environment, preview_id, blueprints, actor, now) if _purchases else ""
