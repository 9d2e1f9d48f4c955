"""E-mails about a subscription to the billing contact, in that person's language."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.urls import reverse

from billing.models import Invoice, Subscription
from billing.selectors.invoices import Contact, billing_contact
from billing.services.mails import send_mail
from billing.services.subscription_dunning import GRACE, PAUSE

#: Which mail an event becomes.
MAILS = {
    "subscription.card_needed": "card_needed",
    "subscription.past_due": "payment_failed",
    "subscription.suspension_ahead": "suspension_ahead",
    "subscription.suspended": "suspended",
    "subscription.resumed": "resumed",
    "subscription.canceled": "ended",
}
#: They demand something; sent after it was done they would be wrong.
_ONLY_WHILE_TRUE = frozenset({"subscription.past_due", "subscription.suspension_ahead", "subscription.suspended"})


def mail_subscription(*, topic: str, payload: dict[str, Any], event: str) -> bool:
    """Send the mail of one event and return whether it was sent; a demand that is met meanwhile is not.

    ``event`` is the event's key.
    """
    rows = Subscription.objects.select_related("order__buyer", "organization__organization")
    subscription = rows.get(pk=payload["subscription"])
    if topic in _ONLY_WHILE_TRUE and subscription.version != payload["version"]:
        return False
    send_mail(
        f"subscription_{MAILS[topic]}", to=_contact(subscription), event=event, context=_facts(subscription, payload)
    )
    return True


def _contact(subscription: Subscription) -> Contact:
    """Return who is told: where documents go, and the buyer when an Organization has nobody for that."""
    contact, buyer = billing_contact(subscription.organization.organization), subscription.order.buyer
    return contact if contact.email else Contact(buyer.email, buyer.language)


def _facts(subscription: Subscription, payload: dict[str, Any]) -> dict[str, Any]:
    organization = subscription.organization.organization
    owed = Invoice.objects.filter(subscription=subscription, state=Invoice.State.OPEN).order_by("period").first()
    since, paused = subscription.past_due_since, subscription.suspended_at
    return {
        "environment": f"{organization.slug}-{subscription.env_type}",
        "address": f"{settings.PUBLIC_URL}{reverse('console-billing', args=[organization.slug])}",
        "currency": subscription.currency_id,
        "by_card": subscription.collection == Subscription.Collection.CARD,
        "owed": owed.total_minor if owed else subscription.monthly_minor,
        "paid_until": subscription.current_period.upper,
        "suspends_at": since + GRACE if since else None,
        "ends_at": paused + PAUSE if paused else None,
        "amount": payload.get("amount"),
        "missing": payload.get("missing"),
        "period_end": _moment(payload.get("period_end")),
        "suspended": payload["suspended"],
        "reason": payload.get("reason", ""),
    }


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
