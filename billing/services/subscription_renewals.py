"""Renewal from credit: one invoice per period, paid by one spend, or the subscription falls past due.

Everything of one renewal commits together. Amounts are minor units. Source: docs/subscriptions.md.
"""

from datetime import datetime, timedelta

from dateutil.relativedelta import relativedelta
from django.db.models import Sum
from django.db.models.functions import Upper

from billing.models import Invoice, Subscription, SubscriptionChange
from billing.services.change_apply import apply_due_change
from billing.services.invoices import add_renewal_invoice, settle_invoice
from billing.services.ledger import Entry, LockedAccount, post_entries
from billing.services.subscriptions import facts_of, mark_past_due, publish, restore
from catalyst.core.failpoints import fp
from catalyst.core.models import Outbox

#: How long before a period that the credit cannot cover its customer is told.
NOTICE = timedelta(days=7)
_ACTOR = "renewal"


def next_period(subscription: Subscription) -> tuple[datetime, datetime]:
    """Return the period after the current one: a month by the calendar, on the day of the first period.

    A short month ends early and the next one returns to the day (31 January, 28 February, 31 March): of two months in
    a row one is long enough to show it.
    """
    start, end = subscription.current_period.lower, subscription.current_period.upper
    return end, end + relativedelta(months=1, day=max(start.day, end.day))


def next_price(subscription: Subscription) -> int:
    """Return what the next period costs: a change that waits for it counts already."""
    change = SubscriptionChange.objects.scheduled().filter(subscription=subscription).first()
    return int((change or subscription).monthly_minor)


def is_over(subscription: Subscription, *, now: datetime) -> bool:
    """Answer whether the paid period has ended."""
    return bool(now >= subscription.current_period.upper)


def bill_from_credit(account: LockedAccount, subscription: Subscription, *, now: datetime) -> bool:
    """Bill the next period, or pay the open invoice of an earlier attempt; a step. Return whether anything moved.

    Without enough credit the invoice stays open and the subscription falls past due. A later call pays the same
    invoice: no period is billed twice.
    """
    owed = _open_invoice(subscription)
    if owed is None and not is_over(subscription, now=now):
        return False
    if owed is None:
        apply_due_change(subscription, now=now)
        return _bill(account, subscription, now=now)
    if account.available_minor < owed.total_minor:
        return False
    settle_invoice(owed, now=now)
    _take_credit(account, subscription, owed, now=now)
    return True


def needs_card(account: LockedAccount, subscription: Subscription, *, now: datetime) -> bool:
    """Say, once per period, that the credit will not cover the next one; a step. Return whether it was said now."""
    ends = subscription.current_period.upper
    key = f"subscription.card_needed:{subscription.pk}:{ends.isoformat()}"
    if now < ends - NOTICE or subscription.cancel_at_period_end or Outbox.objects.filter(dedup_key=key).exists():
        return False
    price = next_price(subscription)
    missing = price + _claimed_before(subscription) - account.available_minor
    if missing <= 0 or not price:
        return False
    facts = facts_of(subscription, subscription.state)
    payload = {**facts, "period_end": ends.isoformat(), "amount": price, "missing": min(missing, price)}
    publish(subscription, "subscription.card_needed", key, payload)
    return True


def _bill(account: LockedAccount, subscription: Subscription, *, now: datetime) -> bool:
    price = subscription.monthly_minor
    covered = account.available_minor >= price
    invoice = add_renewal_invoice(
        subscription=subscription,
        period=next_period(subscription),
        state="paid" if covered else "open",
        credit_minor=price,
        now=now,
    )
    if covered:
        _take_credit(account, subscription, invoice, now=now)
    else:
        mark_past_due(subscription, actor=_ACTOR, reason="credit_short", now=now)
        fp("renewal.credit.in_tx")
    return True


def _take_credit(account: LockedAccount, subscription: Subscription, invoice: Invoice, *, now: datetime) -> None:
    """Spend the credit of a paid invoice and move the period."""
    if invoice.total_minor:
        spend = Entry(
            "invoice_spend", -invoice.total_minor, "settlement", f"invoice:{invoice.pk}", invoice_id=invoice.pk
        )
        post_entries(account, [spend], actor=_ACTOR)
    assert invoice.period is not None
    subscription.current_period = invoice.period
    subscription.next_action_at = now
    subscription.save(update_fields=["current_period", "next_action_at"])
    restore(subscription, actor=_ACTOR, reason="credit", now=now)
    announce_renewal(subscription, invoice)
    fp("renewal.credit.in_tx")


def announce_renewal(subscription: Subscription, invoice: Invoice) -> None:
    """Say that one more period is paid; a step."""
    assert invoice.period is not None
    payload = {
        "subscription": subscription.pk,
        "organization": subscription.organization_id,
        "env_type": subscription.env_type,
        "invoice": invoice.pk,
        "user": subscription.order.buyer_id,
        "period_end": invoice.period.upper.isoformat(),
    }
    publish(subscription, "subscription.renewed", f"subscription.renewed:{invoice.pk}", payload)


def _open_invoice(subscription: Subscription) -> Invoice | None:
    mine = Invoice.objects.filter(subscription=subscription, state=Invoice.State.OPEN, period__isnull=False)
    return mine.order_by("period").first()


def _claimed_before(subscription: Subscription) -> int:
    """Return what the account's other subscriptions take from its credit until this one's turn comes."""
    others = (
        Subscription.objects.filter(organization_id=subscription.organization_id, collection="credit")
        .exclude(pk=subscription.pk)
        .exclude(state="canceled")
        .exclude(cancel_at_period_end=True)
        .annotate(ends=Upper("current_period"))
        .filter(ends__lte=subscription.current_period.upper)
    )
    return int(others.aggregate(total=Sum("monthly_minor"))["total"] or 0)
