"""The end of a period: the next one begins with a draft, or the subscription ends."""

from catalyst.local.sandbox_stripe.account import Account
from catalyst.local.sandbox_stripe.invoice_paper import draft_invoice, item_lines, own_items, take_waiting_items
from catalyst.local.sandbox_stripe.invoicing import (
    WAIT,
    collect_invoice,
    finalize_invoice,
    stop_collecting,
    subscription_of,
    void_invoice,
)
from catalyst.local.sandbox_stripe.periods import next_end
from catalyst.local.sandbox_stripe.subscribing import save_subscription
from catalyst.local.sandbox_stripe.wire import Json


def look_at_subscription(account: Account, subscription: Json) -> None:
    """Do what is due: renew, end as wished at the period's end, or give up on a first payment."""
    if subscription["status"] == "incomplete":
        _expire(account, subscription)
    elif subscription["cancel_at_period_end"]:
        end_subscription(account, subscription)
    else:
        _renew(account, subscription)


def look_at_invoice(account: Account, invoice: Json) -> None:
    """Do what is due: open the draft and collect, or try again."""
    if invoice["status"] == "draft":
        finalize_invoice(account, invoice)
    if invoice["status"] == "open":
        collect_invoice(account, invoice)


def end_subscription(account: Account, subscription: Json) -> None:
    """Cancel now; what it still owes is not collected any more."""
    now = account.clock.now()
    canceled_at = subscription["canceled_at"] or now
    save_subscription(account, subscription, status="canceled", canceled_at=canceled_at, ended_at=now)
    stop_collecting(account, subscription["id"])
    account.emit("customer.subscription.deleted", subscription)


def _renew(account: Account, subscription: Json) -> None:
    """Move the period on and draft its invoice, which stays open for changes for an hour."""
    items = subscription["items"]["data"]
    start, since = items[0]["current_period_end"], items[0]["current_period_start"]
    end = next_end(subscription["billing_cycle_anchor"], items[0]["price"]["recurring"], start)
    for item in items:
        item.update(current_period_start=start, current_period_end=end)
    lines = [*item_lines(account, subscription), *take_waiting_items(account, subscription)]
    invoice = draft_invoice(account, subscription, lines, "subscription_cycle", since=since)
    own_items(account, invoice)
    due_at = account.clock.now() + WAIT
    account.save(invoice, automatically_finalizes_at=due_at, next_payment_attempt=due_at, _due_at=due_at)
    status = "active" if subscription["status"] == "trialing" else subscription["status"]
    save_subscription(account, subscription, status=status, latest_invoice=invoice["id"])
    account.emit("invoice.created", invoice)
    account.emit("customer.subscription.updated", subscription)


def _expire(account: Account, subscription: Json) -> None:
    save_subscription(account, subscription, status="incomplete_expired", ended_at=account.clock.now())
    for invoice in account.store.newest_first("invoice"):
        if subscription_of(invoice) == subscription["id"] and invoice["status"] == "open":
            void_invoice(account, invoice)
    account.emit("customer.subscription.updated", subscription)
