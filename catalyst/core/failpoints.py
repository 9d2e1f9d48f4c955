"""Named places where a test makes the program die. They cost one attribute read and do nothing outside tests.

A name is ``<flow>.<step>.<edge>``. In the test's own process a test arms a point with ``armed``; in a child process the
variable ``CATALYST_FAILPOINT=<name>=<action>[:<nth hit>]`` does, with the actions ``raise``, ``kill`` and ``exit``.
Both need ``FAILPOINTS_ENABLED``, which only the test settings set.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.conf import settings

#: Every point that exists. A point outside this list is a bug, and a test fails when one of these is never hit.
REGISTRY = frozenset(
    {
        "checkout.T1.in_tx",
        "checkout.T1.after_commit",
        "checkout.T1T5.in_tx",
        "checkout.T1T5.after_commit",
        "checkout.C.before_call",
        "checkout.C.after_call_before_record",
        "checkout.T2.in_tx",
        "checkout.T2.before_call",
        "checkout.T2.after_call_before_record",
        "checkout.T3.in_tx",
        "checkout.T3.after_commit",
        "checkout.T4.in_tx",
        "checkout.T4.after_commit",
        "checkout.T5.in_tx",
        "checkout.T5.after_commit",
        "checkout.T6.in_tx",
        "checkout.T6.after_commit",
        "refund.late.before_call",
        "refund.late.after_call_before_record",
        "refund.issue.in_tx",
        "refund.issue.after_commit",
        "refund.call.before_call",
        "refund.call.after_call_before_record",
        "refund.record.in_tx",
        "refund.fail.in_tx",
        "dispute.record.in_tx",
        "dispute.record.after_commit",
        "grant.post.in_tx",
        "reversal.post.in_tx",
        "change.schedule.in_tx",
        "change.schedule.after_commit",
        "change.drop.in_tx",
        "change.items.before_call",
        "change.items.after_call_before_record",
        "redeem.wallet.in_tx",
        "renewal.credit.in_tx",
        "renewal.credit.after_commit",
        "dunning.grace.in_tx",
        "dunning.grace.after_commit",
        "subscription.cancel.in_tx",
        "subscription.cancel.after_commit",
        "subscription.call.before_call",
        "subscription.call.after_call_before_record",
        "invoice.issue.in_tx",
        "renewal.card.reserve.in_tx",
        "renewal.card.reserve.after_commit",
        "renewal.card.item.before_call",
        "renewal.card.item.after_call_before_record",
        "renewal.card.withdraw.in_tx",
        "renewal.card.book.in_tx",
        "renewal.card.book.after_commit",
        "renewal.card.failure.in_tx",
        "renewal.card.drop.in_tx",
        "card.page.before_call",
        "card.page.after_call_before_record",
        "card.save.in_tx",
        "card.save.after_commit",
        "card.tell.before_call",
        "card.tell.after_call_before_record",
        "card.adopt.before_call",
        "card.adopt.after_call_before_record",
        "card.adopt.in_tx",
        "card.adopt.after_commit",
        "inbox.store.after_commit",
        "inbox.effect.in_tx",
        "outbox.relay.in_tx",
        "outbox.delivery.after_effect",
        "change.apply.after_purchase",
        "change.give_back.after_items",
        "install.commit.after_object",
        "install.push.after_push",
        "install.record.in_tx",
        "push.accept.before_ref",
        "push.accept.after_ref",
        "push.take.before_record",
        "push.take.in_tx",
        "change_push.before_branch",
        "change_push.after_branch",
        "change_push.before_drop",
        "job.take.after_commit",
        "job.step.after_effect",
        "job.record.in_tx",
        "secret.set.in_tx",
        "secret.deliver.before_write",
        "secret.deliver.after_write",
        "secret.deliver.in_tx",
        "platform.commit.after_object",
        "platform.commit.after_record",
        "platform.commit.after_push",
    }
)


class Crash(BaseException):
    """A process death that happens inside the test's own process; no ``except Exception`` swallows it."""


_armed: dict[str, Callable[[], None]] = {}
hits: dict[str, int] = {}


def fp(name: str) -> None:
    """Mark a place; act when a test has armed it."""
    if not settings.FAILPOINTS_ENABLED:
        return
    if name not in REGISTRY:
        raise LookupError(f"{name} is not a registered failpoint.")
    hits[name] = hits.get(name, 0) + 1
    action = _armed.get(name)
    if action is not None:
        action()
    _act_from_environment(name)


@contextmanager
def armed(name: str, action: Callable[[], None]) -> Iterator[None]:
    """Run ``action`` at every hit of ``name`` inside the block."""
    if name not in REGISTRY:
        raise LookupError(f"{name} is not a registered failpoint.")
    _armed[name] = action
    try:
        yield
    finally:
        del _armed[name]


def crash() -> None:
    """Die here as a killed process would, as far as one process can show it to itself."""
    raise Crash


def _act_from_environment(name: str) -> None:
    wanted, _, rest = os.environ.get("CATALYST_FAILPOINT", "").partition("=")
    if wanted != name:
        return
    action, _, nth = rest.partition(":")
    if hits[name] != int(nth or 1):
        return
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "exit":
        os._exit(70)
    else:
        crash()
