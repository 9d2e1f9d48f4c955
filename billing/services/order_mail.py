"""E-mails about an order to its buyer, in the buyer's language: confirmed, ready."""

from typing import Any

from django.conf import settings
from django.urls import reverse

from billing.models import Order
from billing.selectors.invoices import Contact
from billing.selectors.order_progress import order_progress
from billing.selectors.orders import details_of, list_all_orders
from billing.services.mails import send_mail


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
    facts = {
        "order": order,
        "organization": order.organization.organization,
        "address": f"{settings.PUBLIC_URL}{reverse('order', args=[order.number])}",
    }
    buyer = Contact(order.buyer.email, order.buyer.language)
    send_mail(name, to=buyer, event=event, context={**facts, **context})
