"""E-mails about a subscription to the billing contact, in the buyer's language.

As with the mails about an order, one event may be mailed twice after a crash; both copies carry the same Message-ID.
"""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation

from billing.models import BillingDetails, Invoice, Subscription
from billing.services.subscription_dunning import GRACE, PAUSE
from tenancy.selectors.sovereign import get_sovereign

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
    sovereign, buyer = get_sovereign(), subscription.order.buyer
    context = {**_facts(subscription, payload), "sovereign": sovereign}
    name = f"billing/email/subscription_{MAILS[topic]}"
    with translation.override(buyer.language):
        message = EmailMultiAlternatives(
            subject=" ".join(render_to_string(f"{name}_subject.txt", context).split()),
            body=render_to_string(f"{name}.txt", context),
            to=[_contact(subscription) or buyer.email],
            headers={"Message-ID": f"<{event.replace(':', '.')}@{sovereign.domain}>"},
        )
        message.attach_alternative(render_to_string(f"{name}.html", context), "text/html")
    message.send()
    return True


def _contact(subscription: Subscription) -> str:
    details = BillingDetails.objects.filter(pk=subscription.organization_id).first()
    return details.email if details else ""


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
