"""Review and pay: what is bought, for whom, what it costs now and later; a refusal is shown here and asks again."""

import uuid
from http import HTTPStatus
from typing import Any, cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from billing.models import Cart
from billing.selectors.checkouts import find_bought, find_open_checkout
from billing.services.cart_checkout import Purchase, buy_cart
from billing.services.carts import set_voucher_code, voucher_code_of
from billing.services.checkout import cancel_checkout
from billing.services.checkout_types import AlreadyPaid, ReturnAddresses
from billing.services.vouchers import preview_voucher
from billing.views.carts import open_cart, read_cart, remember_cart, see_other
from billing.views.pricing import Sums, price_cart
from billing.views.shopping import buying_organization
from billing.views.steps import add_refusal, details_form, show_details
from billing.views.voucher_words import REFUSALS, Said, could_not_check, guesser_of, nothing_typed, words_for
from billing.views.wizard import chosen_settings, missing_step, render_step
from catalyst.core.errors import DomainError
from catalyst.core.http.address import client_address
from marketplace.selectors.catalogue import list_cards
from tenancy.models import User
from tenancy.selectors.sovereign import get_sovereign
from tenancy.services.slugs import SlugInvalid, SlugReserved, SlugTaken

_NO_NAME = (SlugTaken, SlugInvalid, SlugReserved)


@never_cache
@require_safe
def review(request: HttpRequest) -> HttpResponse:
    """Show the whole purchase before anything is bought."""
    cart = read_cart(request)
    if not cart.plan and not cart.blueprints:
        return render_step(request, cart, "review", {"is_empty": True})
    missing = missing_step(request, cart)
    if missing:
        return see_other(reverse(missing))
    return show_review(request, cart, is_cancelled="cancelled" in request.GET)


@require_POST
def voucher(request: HttpRequest) -> HttpResponse:
    """Put a code on the Cart, or take it off; a refused one stays in the field."""
    cart = open_cart(request)
    if "remove" in request.POST:
        set_voucher_code(cart=cart, code="")
        return remember_cart(see_other(reverse("checkout-review")), cart)
    code = request.POST.get("code", "").strip()[:200]
    said = _try_code(request, cart, code)
    if said is not None:
        answer = show_review(request, cart, voucher=said, typed=code, status=said.status)
        if said.retry_after:
            answer.headers["Retry-After"] = str(said.retry_after)
        return remember_cart(answer, cart)
    set_voucher_code(cart=cart, code=code)
    return remember_cart(see_other(f"{reverse('checkout-review')}#voucher"), cart)


@require_POST
@login_required
def pay(request: HttpRequest) -> HttpResponse:
    """Buy: on to the card page, or to the order when credit covers it. Every refusal asks again on Review."""
    cart, buyer = read_cart(request), cast(User, request.user)
    purchase = Purchase(
        accepted_quote=request.POST.get("quote", "")[:64],
        key=request.POST.get("key", "")[:128],
        returns=_return_addresses(),
        address=client_address(request),
    )
    if not cart.plan:
        # The Cart is closed by its sale: a second press, or Back and again, shows what the first one did.
        bought = find_bought(buyer, purchase.key)
        return see_other(reverse("order", args=[bought.order.number]) if bought else reverse("checkout-review"))
    try:
        outcome = buy_cart(cart=cart, buyer=buyer, sovereign=get_sovereign(), purchase=purchase, now=timezone.now())
    except _NO_NAME as error:
        form = details_form(request, cart, _answers(request, cart))
        add_refusal(form, error)
        return show_details(request, cart, form, status=error.status)
    except AlreadyPaid as error:
        messages.info(request, error.message)
        return see_other(reverse("order", args=[error.extra["order"]]))
    except DomainError as error:
        return _refuse(request, cart, error)
    if outcome.session_url:
        return see_other(outcome.session_url)
    if outcome.state == "completed":
        return see_other(reverse("order", args=[outcome.order_number]))
    messages.info(request, _("You haven't been charged. Look at your order once more and confirm it."))
    return see_other(reverse("checkout-review"))


@require_POST
@login_required
def cancel(request: HttpRequest) -> HttpResponse:
    """Call off the attempt that is being paid in another window."""
    cart = read_cart(request)
    organization = buying_organization(request, cart)
    checkout = find_open_checkout(organization, env_type=cart.env_type) if organization else None
    if checkout is not None:
        try:
            cancel_checkout(checkout=checkout, actor=cast(User, request.user).email, now=timezone.now())
        except AlreadyPaid as error:
            return see_other(reverse("order", args=[error.extra["order"]]))
        except DomainError as error:
            return _refuse(request, cart, error)
    return see_other(f"{reverse('checkout-review')}?cancelled=1")


def show_review(
    request: HttpRequest,
    cart: Cart,
    *,
    sums: Sums | None = None,
    voucher: Said | None = None,
    typed: str = "",
    refusal: DomainError | None = None,
    is_cancelled: bool = False,
    status: int = HTTPStatus.OK,
) -> HttpResponse:
    """Draw Review with fresh sums and a fresh key."""
    sums = sums or price_cart(request, cart)
    organization = buying_organization(request, cart)
    listed = list_cards(organization, currency=sums.currency, at=timezone.now(), language="en")
    cards = {card.name: card for card in listed}
    context: dict[str, Any] = {
        "chosen": [cards[name] for name in cart.blueprints if name in cards],
        "lost": [name for name in cart.blueprints if name not in cards or not cards[name].is_installable],
        "code": voucher_code_of(cart),
        "typed": typed,
        "voucher": voucher or sums.voucher,
        "refusal": refusal or sums.refusal,
        "is_cancelled": is_cancelled,
        "organization": organization,
        "key": uuid.uuid4().hex,
        "shown_charge": _shown_charge(request),
    }
    return render_step(request, cart, "review", context, status=status, sums=sums)


def _try_code(request: HttpRequest, cart: Cart, code: str) -> Said | None:
    """Look the code up; None when it can be kept."""
    if not code:
        return nothing_typed()
    try:
        preview_voucher(code=code, guesser=guesser_of(request), now=timezone.now())
    except REFUSALS as error:
        return words_for(error, code=code, organization=buying_organization(request, cart))
    except (OperationalError, InterfaceError):
        return could_not_check()
    return None


def _refuse(request: HttpRequest, cart: Cart, error: DomainError) -> HttpResponse:
    """Show a refusal where it belongs: beside the code, or above the lines."""
    cart.refresh_from_db()
    if isinstance(error, REFUSALS):
        said = words_for(error, code=voucher_code_of(cart), organization=buying_organization(request, cart))
        answer = show_review(request, cart, voucher=said, status=error.status)
    else:
        answer = show_review(request, cart, refusal=error, status=error.status)
    if error.retry_after is not None:
        answer.headers["Retry-After"] = str(error.retry_after)
    return answer


def _answers(request: HttpRequest, cart: Cart) -> dict[str, Any]:
    """Return what step 3 holds, as if it had just been sent."""
    emails = [cart.config.get(app.name, {}).get(key) for app in chosen_settings(request, cart) for key in app.emails]
    return {
        "addons": cart.addons,
        "organization": "new",
        "name": cart.organization_name,
        "slug": cart.organization_slug,
        "email": next((email for email in emails if email), ""),
    }


def _shown_charge(request: HttpRequest) -> int | None:
    """Return the amount that the button named, for the sentence "old → new"."""
    shown = request.POST.get("charge", "")
    return int(shown) if shown.isascii() and shown.isdigit() and len(shown) < 13 else None


def _return_addresses() -> ReturnAddresses:
    public_url: str = settings.PUBLIC_URL
    return ReturnAddresses(
        # The processor puts its own id in place of the braces.
        success=f"{public_url}{reverse('checkout-return')}?session_id={{CHECKOUT_SESSION_ID}}",
        cancel=f"{public_url}{reverse('checkout-review')}?cancelled=1",
    )
