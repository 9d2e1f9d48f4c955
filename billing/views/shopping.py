"""For which Organization a reader buys, and for which one the shop shows what is its own."""

from django.http import HttpRequest

from billing.models import Cart
from tenancy.models import Organization
from tenancy.selectors.organizations import ROLES_ATTRIBUTE
from tenancy.selectors.permissions import can, has_role
from tenancy.views.chosen_organization import chosen_organization


def buying_organization(request: HttpRequest, cart: Cart) -> Organization | None:
    """Return the Organization that the Cart is for, when this reader may buy for it and none is to be founded."""
    if not request.user.is_authenticated or cart.organization is None or cart.organization_slug:
        return None
    return cart.organization if can(request.user, "checkout.create", cart.organization) else None


def shopping_organization(request: HttpRequest, cart: Cart) -> Organization | None:
    """Return the Organization whose own Blueprints may go into the Cart: the Cart's, else the chosen one.

    None where the reader may not buy for it, or is about to found another one.
    """
    if cart.organization is not None or cart.organization_slug:
        return buying_organization(request, cart)
    chosen = chosen_organization(request)
    return chosen if chosen is not None and has_role(getattr(chosen, ROLES_ATTRIBUTE), "checkout.create") else None
