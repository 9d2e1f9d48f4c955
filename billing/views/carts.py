"""The Cart's cookie, and putting things into the Cart from any page."""

import uuid
from collections.abc import Iterable
from http import HTTPStatus
from urllib.parse import urlsplit

from allauth.account.adapter import get_adapter
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from billing.models import Cart
from billing.selectors.carts import find_cart, is_waiting
from billing.services.carts import (
    CartChange,
    add_blueprint,
    change_cart,
    find_or_open_cart,
    remove_blueprint,
    set_blueprints,
    set_organization,
)
from billing.views.shopping import shopping_organization
from catalyst.core.errors import NotFound
from marketplace.selectors.catalogue import BlueprintCard, get_card
from marketplace.selectors.price_list import list_bundles, list_plans
from marketplace.selectors.selection import LineUnavailable
from tenancy.models import Organization, User
from tenancy.selectors.sovereign import get_sovereign

_SALT = "billing.cart"
_MAX_AGE = 30 * 24 * 60 * 60


def person_of(request: HttpRequest) -> User | None:
    """Return who is signed in."""
    return request.user if isinstance(request.user, User) else None


def read_cart(request: HttpRequest) -> Cart:
    """Return the reader's Cart, or an empty one that is stored nowhere.

    A Cart filled before sign-in joins the person's own on the first page after it.
    """
    cart_id, user = _cookie_of(request), person_of(request)
    if user is not None and cart_id is not None and is_waiting(cart_id):
        return find_or_open_cart(cart_id=cart_id, user=user)
    return find_cart(cart_id=cart_id, user=user) or Cart()


def open_cart(request: HttpRequest) -> Cart:
    """Return the reader's Cart to change it; the answer must ``remember_cart``."""
    return find_or_open_cart(cart_id=_cookie_of(request), user=person_of(request))


def remember_cart(response: HttpResponse, cart: Cart) -> HttpResponse:
    """Name the Cart of somebody who is not signed in in a signed cookie."""
    if cart.user_id is None:
        response.set_signed_cookie(
            _cookie_name(),
            str(cart.pk),
            salt=_SALT,
            max_age=_MAX_AGE,
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )
    return response


def see_other(address: str) -> HttpResponseRedirect:
    """Answer a form: the next page is fetched with GET."""
    return HttpResponseRedirect(address, status=HTTPStatus.SEE_OTHER)


@require_POST
def cart_add(request: HttpRequest) -> HttpResponse:
    """Add a Blueprint, a Bundle's Applications, or choose a Plan.

    :raises LineUnavailable: nobody can buy it; the Cart stays as it was.
    """
    blueprint, plan, bundle = (request.POST.get(name, "")[:48] for name in ("blueprint", "plan", "bundle"))
    if plan:
        _check_plan(plan)
        cart = open_cart(request)
        change_cart(cart=cart, change=CartChange(plan=plan))
        return remember_cart(see_other(_next(request) or reverse("checkout-apps")), cart)
    if bundle:
        members = _bundle_members(bundle)
        cart = open_cart(request)
        set_blueprints(cart=cart, names=[*cart.blueprints, *members])
        return remember_cart(see_other(_next(request) or reverse("checkout-plan")), cart)
    organization = shopping_organization(request, read_cart(request))
    card = _card(blueprint, organization)
    cart = open_cart(request)
    add_blueprint(cart=cart, name=card.name)
    bind_own(cart, [card], organization)
    messages.success(request, _("%(title)s is in your cart.") % {"title": card.title})
    return remember_cart(see_other(_next(request) or _referrer(request)), cart)


@require_POST
def cart_remove(request: HttpRequest) -> HttpResponse:
    """Take a Blueprint or an Add-on out again."""
    cart = open_cart(request)
    blueprint, addon = request.POST.get("blueprint", ""), request.POST.get("addon", "")
    if addon:
        change_cart(cart=cart, change=CartChange(addons=[each for each in cart.addons if each != addon]))
    else:
        remove_blueprint(cart=cart, name=blueprint)
    return remember_cart(see_other(_next(request) or reverse("checkout-review")), cart)


def bind_own(cart: Cart, cards: Iterable[BlueprintCard], organization: Organization | None) -> None:
    """Buy for the Organization whose own Blueprint was chosen: nobody else can."""
    if organization is not None and cart.organization is None and any(card.is_private for card in cards):
        set_organization(cart=cart, organization=organization)


def _card(slug: str, organization: Organization | None) -> BlueprintCard:
    try:
        card = get_card(slug, organization, currency=str(get_sovereign().currency_id), at=timezone.now())
    except NotFound:
        raise _unavailable(slug) from None
    if not card.is_installable:
        raise _unavailable(card.title)
    return card


def _check_plan(slug: str) -> None:
    plans = list_plans(currency=str(get_sovereign().currency_id), at=timezone.now())
    if not any(plan.slug == slug and plan.state == "now" and plan.price_minor is not None for plan in plans):
        raise _unavailable(slug)


def _bundle_members(slug: str) -> tuple[str, ...]:
    bundles = list_bundles(currency=str(get_sovereign().currency_id), at=timezone.now())
    found = next((each for each in bundles if each.slug == slug and each.state == "now"), None)
    if found is None:
        raise _unavailable(slug)
    return found.members_today


def _unavailable(what: str) -> LineUnavailable:
    return LineUnavailable(_("%(what)s is not available.") % {"what": what[:80]})


def _next(request: HttpRequest) -> str:
    target = request.POST.get("next", "")
    return target if get_adapter().is_safe_url(target) else ""


def _referrer(request: HttpRequest) -> str:
    """Return the page of this site that the reader comes from, else the marketplace."""
    origin = urlsplit(request.headers.get("Referer", ""))
    if origin.netloc != request.get_host():
        return reverse("home")
    path = f"{origin.path}?{origin.query}" if origin.query else origin.path
    return path if get_adapter().is_safe_url(path) else reverse("home")


def _cookie_name() -> str:
    return "__Host-cart" if settings.SESSION_COOKIE_SECURE else "cart"


def _cookie_of(request: HttpRequest) -> uuid.UUID | None:
    value = request.get_signed_cookie(_cookie_name(), "", salt=_SALT, max_age=_MAX_AGE)
    try:
        return uuid.UUID(value)
    except ValueError:
        return None
