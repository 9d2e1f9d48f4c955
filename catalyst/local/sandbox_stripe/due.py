"""What happens by itself: sessions expire, payments arrive, subscriptions renew, invoices are collected."""

from catalyst.local.sandbox_stripe.account import Account
from catalyst.local.sandbox_stripe.payment import expire_session, settle_async
from catalyst.local.sandbox_stripe.renewal import look_at_invoice, look_at_subscription
from catalyst.local.sandbox_stripe.wire import Json


def run_due(account: Account) -> int:
    """Do what the clock has made due, each thing at its own moment, and return how many things that was."""
    count = 0
    with account.store.transaction():
        while due := account.store.next_due(account.clock.now()):
            moment, thing = due
            with account.clock.held(moment):
                _look_at(account, thing)
            count += 1
    return count


def _look_at(account: Account, thing: Json) -> None:
    if thing["object"] == "subscription":
        look_at_subscription(account, thing)
    elif thing["object"] == "invoice":
        look_at_invoice(account, thing)
    elif thing["status"] == "open":
        expire_session(account, thing)
    else:
        settle_async(account, thing["id"], succeeded=True)
