"""E-mails about an order to its buyer, in the buyer's language: confirmed, ready.

Delivery of events is at least once, so a mail may be sent again after a crash between the mail server's answer and our
note of it; both copies carry the same Message-ID, by which mail programs show one.
"""

from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation

from billing.models import Order
from billing.selectors.order_progress import order_progress
from billing.selectors.orders import details_of, list_all_orders
from tenancy.models import Sovereign
from tenancy.selectors.sovereign import get_sovereign


def mail_order_confirmed(*, order_number: str, event: str) -> None:
    """Tell the buyer that the order is paid. ``event`` is the key of the event that says so."""
    order = _find(order_number)
    is_change = order.checkout.change_id is not None
    _send(order, "order_confirmed", event, {"details": details_of(order), "is_change": is_change})


def mail_order_ready(*, order_number: str, event: str) -> None:
    """Tell the buyer that the Applications run."""
    order = _find(order_number)
    _send(order, "order_ready", event, {"progress": order_progress(order)})


def _find(order_number: str) -> Order:
    return list_all_orders().select_related("buyer", "organization__organization").get(number=order_number)


def _send(order: Order, name: str, event: str, context: dict[str, Any]) -> None:
    sovereign, public_url = get_sovereign(), str(settings.PUBLIC_URL)
    everything = {
        "order": order,
        "organization": order.organization.organization,
        "sovereign": sovereign,
        "address": f"{public_url}{reverse('order', args=[order.number])}",
        **context,
    }
    with translation.override(order.buyer.language):
        subject = " ".join(render_to_string(f"billing/email/{name}_subject.txt", everything).split())
        message = EmailMultiAlternatives(
            subject=subject,
            body=render_to_string(f"billing/email/{name}.txt", everything),
            to=[order.buyer.email],
            headers={"Message-ID": _message_id(event, sovereign)},
        )
        message.attach_alternative(render_to_string(f"billing/email/{name}.html", everything), "text/html")
    message.send()


def _message_id(event: str, sovereign: Sovereign) -> str:
    return f"<{event.replace(':', '.')}@{sovereign.domain}>"
