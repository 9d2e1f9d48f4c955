"""The Cart a reader already has; ``services.carts`` opens and changes one."""

from uuid import UUID

from billing.models import Cart, Checkout
from tenancy.models import User


def find_cart(*, cart_id: UUID | None, user: User | None) -> Cart | None:
    """Return the open Cart of this person, or the one that the cookie of somebody not signed in names."""
    carts = Cart.objects.select_related("organization").filter(ordered_at=None, user=user)
    if user is None:
        if cart_id is None:
            return None
        carts = carts.filter(pk=cart_id)
    cart = carts.first()
    return None if cart is None or is_sold(cart) else cart


def is_waiting(cart_id: UUID) -> bool:
    """Tell whether a Cart of nobody waits to join the person who has just signed in."""
    return Cart.objects.filter(pk=cart_id, user=None, ordered_at=None).exists()


def is_sold(cart: Cart) -> bool:
    """Tell whether the Cart's order is paid, however long ago."""
    return Checkout.objects.filter(cart_id=cart.pk, state=Checkout.State.COMPLETED).exists()
