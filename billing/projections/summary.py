"""``billing``: each Organization's credit, live subscriptions and debts. A pure fold of the log.

Amounts are minor units. What it shows is for reading: money is decided on the locked rows of the ledger alone.
"""

from typing import Any, Final

from billing.models import BillingSummary, Subscription
from catalyst.core.outbox import Message
from catalyst.core.projections import Projector, register_projector

_POSTED: Final = "account.posted"
_SUBSCRIPTIONS: Final = frozenset(
    {
        "subscription.started",
        "subscription.changed",
        "subscription.resumed",
        "subscription.past_due",
        "subscription.suspended",
        "subscription.canceled",
        "subscription.ending",
        "subscription.kept",
    }
)
_UNPAID: Final = frozenset({Subscription.State.PAST_DUE, Subscription.State.SUSPENDED})


def _apply(message: Message) -> None:
    said = message.payload
    row, _is_new = BillingSummary.objects.get_or_create(
        organization_id=said["organization"], defaults={"sequence": message.sequence}
    )
    if message.topic == _POSTED:
        if said["entry"] <= row.balance_entry:
            return  # an account is posted to one entry after the other; this one is older than what is known
        row.currency, row.balance_minor, row.balance_entry = said["currency"], said["balance"], said["entry"]
    else:
        _fold_subscription(row, said)
    row.sequence = message.sequence
    row.save()


def _fold_subscription(row: BillingSummary, said: dict[str, Any]) -> None:
    key = str(said["subscription"])
    known = dict(row.subscriptions)
    row.currency = row.currency or said.get("currency", "")
    if said["state"] == Subscription.State.CANCELED:
        known.pop(key, None)
    else:
        known[key] = {"state": said["state"], "env_type": said["env_type"], "monthly_minor": said["monthly"]}
    row.subscriptions = known
    row.live_subscriptions = len(known)
    row.unpaid_subscriptions = sum(each["state"] in _UNPAID for each in known.values())
    row.monthly_minor = sum(each["monthly_minor"] for each in known.values())


def _clear() -> None:
    BillingSummary.objects.all().delete()


BILLING = register_projector(Projector(name="billing", topics=_SUBSCRIPTIONS | {_POSTED}, apply=_apply, clear=_clear))
