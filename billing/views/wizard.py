"""What the steps of the checkout have in common: their order, what is still missing, the summary beside them."""

from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from billing.models import Cart
from billing.views.carts import person_of
from billing.views.pricing import Sums, price_cart
from billing.views.shopping import shopping_organization
from marketplace.selectors.chosen_settings import ChosenSettings, list_chosen_settings
from tenancy.selectors.sovereign import get_sovereign

_STEPS: tuple[tuple[str, str | Promise], ...] = (
    ("plan", _("Plan")),
    ("apps", _("Apps")),
    ("addons", _("Details")),
    ("review", _("Review and pay")),
)


def missing_step(request: HttpRequest, cart: Cart) -> str:
    """Return the name of the first page whose question is open, or nothing."""
    if not cart.plan:
        return "checkout-plan"
    if not cart.blueprints:
        return "checkout-apps"
    if cart.organization_id is None and not cart.organization_slug:
        return "checkout-addons"
    return "checkout-addons" if _has_open_question(request, cart) else ""


def chosen_settings(request: HttpRequest, cart: Cart) -> list[ChosenSettings]:
    """Return what the chosen Blueprints must be told."""
    return list_chosen_settings(
        cart.blueprints,
        currency=str(get_sovereign().currency_id),
        at=timezone.now(),
        config=cart.config,
        organization=shopping_organization(request, cart),
    )


def _has_open_question(request: HttpRequest, cart: Cart) -> bool:
    """Tell whether an Application came into the Cart since the details were given, and asks something."""
    return any(
        name not in cart.config.get(app.name, {})
        for app in chosen_settings(request, cart)
        for name in app.questions["required"]
    )


def next_step(request: HttpRequest, cart: Cart) -> str:
    """Return the name of the page on which the wizard goes on."""
    return missing_step(request, cart) or "checkout-review"


def render_step(
    request: HttpRequest,
    cart: Cart,
    step: str,
    context: dict[str, Any],
    *,
    status: int = HTTPStatus.OK,
    sums: Sums | None = None,
) -> HttpResponse:
    """Draw one step with its place in the order and the summary beside it."""
    everything = {
        "cart": cart,
        "steps": _steps(cart),
        "step": step,
        "sums": sums or price_cart(request, cart),
        "is_anonymous": person_of(request) is None,
        **context,
    }
    return render(request, f"billing/checkout_{step}.html", everything, status=status)


def _steps(cart: Cart) -> list[dict[str, Any]]:
    """Number the steps; those that were answered are links."""
    answered = {"plan": bool(cart.plan), "apps": bool(cart.blueprints)}
    answered["addons"] = bool(cart.organization_id or cart.organization_slug)
    return [
        {"key": key, "label": label, "url": reverse(f"checkout-{key}") if answered.get(key) else ""}
        for key, label in _STEPS
    ]
