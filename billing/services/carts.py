"""The Cart: a saved selection that survives sign-in. Nothing in it reserves or promises anything.

A Cart is named by a signed cookie before sign-in and belongs to its person afterwards. It is closed when its order is
paid, and only then.
"""

import uuid
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from billing.models import Cart, Checkout
from catalyst.core.crypto import SealBroken, seal, unseal
from catalyst.core.database import use_case
from catalyst.core.errors import DomainError, NotFound
from tenancy.models import Organization, User

_MOST_ITEMS = 40


class CartFull(DomainError):
    code = "cart_full"


@dataclass(frozen=True, slots=True)
class CartChange:
    """What to change; ``None`` leaves a part as it is."""

    plan: str | None = None
    addons: list[str] | None = None
    bundle: str | None = None
    config: dict[str, dict[str, Any]] | None = None
    organization_name: str | None = None
    organization_slug: str | None = None


@use_case
def find_or_open_cart(*, cart_id: uuid.UUID | None, user: User | None) -> Cart:
    """Return the open Cart of this person or cookie, making one when there is none.

    On sign-in the anonymous Cart joins the person's: all Applications of both, the newer Plan, one Voucher.
    """
    anonymous = _open(Cart.objects.filter(pk=cart_id, user=user)) if cart_id else None
    if user is None:
        return anonymous or Cart.objects.create()
    own = _open(Cart.objects.filter(user=user))
    brought = _open(Cart.objects.filter(pk=cart_id, user=None)) if cart_id else None
    if own is None and brought is not None:
        Cart.objects.filter(pk=brought.pk).update(user=user)
        return Cart.objects.get(pk=brought.pk)
    if own is None:
        return Cart.objects.create(user=user)
    if brought is not None:
        _join(own, brought)
    return own


@use_case
def add_blueprint(*, cart: Cart, name: str) -> None:
    """Put one Blueprint (``bp-…``) into the Cart; a second time changes nothing.

    :raises CartFull: more than anybody installs at once.
    """
    current = _locked(cart)
    if name not in current.blueprints:
        if len(current.blueprints) >= _MOST_ITEMS:
            raise CartFull(_("This cart is full. Remove an app first."))
        current.blueprints.append(name)
        _save(current)


@use_case
def remove_blueprint(*, cart: Cart, name: str) -> None:
    """Take one Blueprint out of the Cart, with the Bundle that brought it."""
    current = _locked(cart)
    current.blueprints = [kept for kept in current.blueprints if kept != name]
    current.bundle = ""
    _save(current)


@use_case
def set_blueprints(*, cart: Cart, names: list[str]) -> None:
    """Replace the chosen Blueprints, as the wizard's list does.

    :raises CartFull: more than anybody installs at once.
    """
    if len(names) > _MOST_ITEMS:
        raise CartFull(_("This cart is full. Remove an app first."))
    current = _locked(cart)
    current.blueprints = list(dict.fromkeys(names))
    _save(current)


@use_case
def change_cart(*, cart: Cart, change: CartChange) -> None:
    """Change the named parts of the Cart."""
    current = _locked(cart)
    for name in ("plan", "addons", "bundle", "config", "organization_name", "organization_slug"):
        value = getattr(change, name)
        if value is not None:
            setattr(current, name, value)
    _save(current)


@use_case
def set_organization(*, cart: Cart, organization: Organization) -> None:
    """Bind the Cart to the Organization that will own the order."""
    current = _locked(cart)
    current.organization = organization
    _save(current)


@use_case
def set_voucher_code(*, cart: Cart, code: str) -> None:
    """Keep the code for the checkout, sealed; an empty text forgets it. Nothing is reserved or redeemed."""
    current = _locked(cart)
    current.voucher_code_sealed = seal(code, place=_place(current)) if code else ""
    _save(current)


def voucher_code_of(cart: Cart) -> str:
    """Return the code on the Cart, or an empty text."""
    if not cart.voucher_code_sealed:
        return ""
    try:
        return unseal(cart.voucher_code_sealed, place=_place(cart))
    except SealBroken:
        return ""


def _open(carts: QuerySet[Cart]) -> Cart | None:
    """Return the open Cart of a query, closing one whose order was paid meanwhile."""
    cart = carts.filter(ordered_at=None).first()
    if cart is None:
        return None
    if Checkout.objects.filter(cart_id=cart.pk, state=Checkout.State.COMPLETED).exists():
        Cart.objects.filter(pk=cart.pk).update(ordered_at=timezone.now())
        return None
    return cart


def _join(own: Cart, brought: Cart) -> None:
    own.blueprints = list(dict.fromkeys([*own.blueprints, *brought.blueprints]))[:_MOST_ITEMS]
    own.addons = list(dict.fromkeys([*own.addons, *brought.addons]))
    own.plan = brought.plan or own.plan
    own.bundle = brought.bundle or own.bundle
    own.config = {**own.config, **brought.config}
    own.organization_name = own.organization_name or brought.organization_name
    own.organization_slug = own.organization_slug or brought.organization_slug
    code = voucher_code_of(brought)
    if code:
        own.voucher_code_sealed = seal(code, place=_place(own))
    _save(own)
    brought.delete()


def _locked(cart: Cart) -> Cart:
    current = Cart.objects.select_for_update(of=("self",)).filter(pk=cart.pk, ordered_at=None).first()
    if current is None:
        raise NotFound(_("This cart was ordered already. Start a new one."))
    return current


def _save(cart: Cart) -> None:
    cart.updated_at = timezone.now()
    cart.save()


def _place(cart: Cart) -> str:
    return f"billing_cart:{cart.pk}:voucher_code"
