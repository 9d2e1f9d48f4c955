"""Buy what is in a Cart: found the Organization when it is new, then run the checkout."""

from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from billing.models import Cart
from billing.services.carts import CartChange, change_cart, set_organization, voucher_code_of
from billing.services.checkout import start_checkout
from billing.services.checkout_types import CheckoutOutcome, CheckoutRequest, ReturnAddresses, Selection
from catalyst.core import idempotency
from catalyst.core.errors import DomainError, PermissionRefused
from tenancy.models import Organization, Sovereign, User
from tenancy.selectors.organization_state import check_active
from tenancy.selectors.permissions import can
from tenancy.services.organizations import create_organization


class CartIncomplete(DomainError):
    code = "cart_incomplete"


@dataclass(frozen=True, slots=True)
class Purchase:
    """What the shopper pressed: the quote they saw, a key of that page, where the card page returns to."""

    accepted_quote: str
    key: str
    returns: ReturnAddresses
    address: str


def buy_cart(*, cart: Cart, buyer: User, sovereign: Sovereign, purchase: Purchase, now: datetime) -> CheckoutOutcome:
    """Start the checkout of a Cart.

    A new Organization is founded first; when the checkout is refused it stays, bound to the Cart, for the next try.

    :raises CartIncomplete, PermissionRefused, SlugTaken, SlugInvalid, SlugReserved: nothing was written.
    :raises DomainError: every refusal of ``start_checkout``.
    """
    if not cart.plan or not cart.blueprints:
        raise CartIncomplete(_("Choose a plan and at least one app first."))
    organization = _organization(cart, buyer, now)
    code = voucher_code_of(cart)
    body = [cart.plan, cart.blueprints, cart.addons, cart.bundle, cart.config, code, purchase.accepted_quote]
    request = CheckoutRequest(
        organization=organization,
        sovereign=sovereign,
        buyer=buyer,
        selection=selection_of(cart),
        voucher_code=code,
        env_type=cart.env_type,
        accepted_quote=purchase.accepted_quote,
        cart_id=cart.pk,
        key=purchase.key,
        fingerprint=idempotency.fingerprint(method="POST", path="/checkout/pay/", body=body),
        returns=purchase.returns,
        address=purchase.address,
    )
    return start_checkout(request=request, now=now)


def selection_of(cart: Cart) -> Selection:
    """Return what the Cart buys. E-mail addresses that nobody typed become the buyer's own on delivery."""
    config = {name: dict(values) for name, values in cart.config.items() if name in cart.blueprints}
    return Selection(
        plan=cart.plan,
        blueprints=tuple(cart.blueprints),
        addons=tuple(cart.addons),
        bundle=cart.bundle,
        config=config,
    )


def _organization(cart: Cart, buyer: User, now: datetime) -> Organization:
    if cart.organization_slug:
        organization = create_organization(
            slug=cart.organization_slug, name=cart.organization_name or cart.organization_slug, creator=buyer, now=now
        )
        set_organization(cart=cart, organization=organization)
        change_cart(cart=cart, change=CartChange(organization_name="", organization_slug=""))
        return organization
    if cart.organization is None:
        raise CartIncomplete(_("Say for which organization you buy."))
    if not can(buyer, "checkout.create", cart.organization):
        raise PermissionRefused(_("Only an administrator or billing administrator can buy for this organization."))
    check_active(cart.organization)
    return cart.organization
