"""Back from the card page: on to the order, or "we are confirming it". Nothing here decides; it asks and shows."""

from http import HTTPStatus
from typing import cast

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from billing.models import Checkout
from billing.services.checkout_return import follow_return
from billing.views.carts import see_other
from tenancy.models import User

_NOT_CHARGED = {Checkout.State.LAPSED, Checkout.State.COMPENSATED}
_GIVEN_BACK = {Checkout.State.LATE_PAYMENT, Checkout.State.REFUNDING, Checkout.State.REFUNDED}


@never_cache
@require_safe
@login_required
def checkout_return(request: HttpRequest) -> HttpResponse:
    """Follow the processor's answer for one card page.

    :raises NotFound: the page belongs to no Organization of this person.
    """
    session_id = request.GET.get("session_id", "")[:200]
    checkout = follow_return(session_id=session_id, user=cast(User, request.user), now=timezone.now())
    if checkout.state == Checkout.State.COMPLETED:
        return _move(request, reverse("order", args=[checkout.order.number]))
    if checkout.state in _NOT_CHARGED:
        return _move(request, _back_to_question(checkout))
    context = {
        "order": checkout.order,
        "is_in_review": checkout.state == Checkout.State.NEEDS_REVIEW,
        "is_given_back": checkout.state in _GIVEN_BACK,
    }
    is_fragment = request.headers.get("HX-Request") == "true"
    template = "billing/checkout_return.html#state" if is_fragment else "billing/checkout_return.html"
    return render(request, template, context)


def _back_to_question(checkout: Checkout) -> str:
    """Return where the shopper came from: a first purchase has its review, a change its subscription."""
    if checkout.change_id is None:
        return f"{reverse('checkout-review')}?cancelled=1"
    return reverse("console-change", args=[checkout.organization.organization.slug, checkout.env_type])


def _move(request: HttpRequest, address: str) -> HttpResponse:
    """Send the whole page on, also when only its middle asked."""
    if request.headers.get("HX-Request") != "true":
        return see_other(address)
    return HttpResponse(status=HTTPStatus.OK, headers={"HX-Redirect": address})
