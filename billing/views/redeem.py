"""The Voucher's page: look a code up, keep it for an order, or add its credit to a balance. Opening it does nothing."""

from http import HTTPStatus
from typing import Any

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from billing.forms.vouchers import VoucherForm
from billing.models import Cart, Voucher
from billing.services.carts import set_voucher_code, voucher_code_of
from billing.services.voucher_codes import normalize_code
from billing.services.vouchers import preview_voucher, voucher_not_found
from billing.services.wallet import redeem_to_balance
from billing.views.carts import open_cart, person_of, read_cart, remember_cart, see_other
from billing.views.pricing import price_cart
from billing.views.voucher_words import (
    REFUSALS,
    Said,
    could_not_check,
    guesser_of,
    nothing_typed,
    words_for,
)
from billing.views.wizard import next_step
from catalyst.core.errors import PermissionRefused
from catalyst.core.http.address import client_address
from tenancy.models import Organization, User
from tenancy.selectors.organization_state import check_active
from tenancy.selectors.organizations import ROLES_ATTRIBUTE, organizations_of
from tenancy.selectors.permissions import can, has_role
from tenancy.selectors.sovereign import get_sovereign

_RIGHT = "voucher.redeem"


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def redeem(request: HttpRequest) -> HttpResponse:
    """Ask for a code; a posted one is looked up, which redeems nothing."""
    if request.method != "POST":
        return _page(request, code=request.GET.get("code", "")[:200])
    form = VoucherForm(request.POST)
    code = request.POST.get("code", "").strip()
    if not form.is_valid():
        return _page(request, code=code[:200], said=nothing_typed() if not code else _unknown(code))
    try:
        voucher = preview_voucher(code=code, guesser=guesser_of(request), now=timezone.now())
    except REFUSALS as error:
        return _page(request, code=code, said=words_for(error, code=code))
    except (OperationalError, InterfaceError):
        return _page(request, code=code, said=could_not_check())
    return _page(request, code=code, voucher=voucher)


@require_POST
def redeem_in_order(request: HttpRequest) -> HttpResponse:
    """Keep the code on the Cart; it is redeemed only inside the checkout."""
    code = request.POST.get("code", "").strip()
    try:
        preview_voucher(code=code, guesser=guesser_of(request), now=timezone.now())
    except REFUSALS as error:
        return _page(request, code=code[:200], said=words_for(error, code=code))
    cart = open_cart(request)
    set_voucher_code(cart=cart, code=code)
    return remember_cart(see_other(reverse(next_step(request, cart))), cart)


@require_POST
def redeem_to_organization(request: HttpRequest) -> HttpResponse:
    """Add the credit to the balance of one of the person's Organizations, now."""
    person = person_of(request)
    if person is None:
        return see_other(reverse("account_login"))
    code = request.POST.get("code", "").strip()
    organization = organizations_of(person).filter(slug=request.POST.get("organization", "")).first()
    try:
        entry = redeem_to_balance(
            code=code,
            organization=_allowed(person, organization),
            sovereign=get_sovereign(),
            actor=person,
            address=client_address(request),
            now=timezone.now(),
        )
    except REFUSALS as error:
        said = words_for(error, code=code, organization=organization)
        return _page(request, code=code[:200], said=said, organization=organization)
    added = {"entry": entry, "currency": str(get_sovereign().currency_id), "organization": organization}
    return _with_headers(render(request, "billing/redeem_added.html", added, status=HTTPStatus.CREATED))


def _allowed(person: User, organization: Organization | None) -> Organization:
    if organization is None or not can(person, _RIGHT, organization):
        raise PermissionRefused("")
    check_active(organization)
    return organization


def _unknown(code: str) -> Said:
    """A text that is too long to be a code is not looked up."""
    return words_for(voucher_not_found(), code=code)


def _page(
    request: HttpRequest,
    *,
    code: str,
    said: Said | None = None,
    voucher: Voucher | None = None,
    organization: Organization | None = None,
) -> HttpResponse:
    context: dict[str, Any] = {"code": code, "said": said, "voucher": voucher, "organization": organization}
    if voucher is not None:
        context |= _offers(request, code, voucher)
    response = render(request, "billing/redeem.html", context, status=said.status if said else HTTPStatus.OK)
    if said and said.retry_after:
        response.headers["Retry-After"] = str(said.retry_after)
    return _with_headers(response)


def _offers(request: HttpRequest, code: str, voucher: Voucher) -> dict[str, Any]:
    """Return what can be done with a good code: an order, or somebody's balance."""
    cart, person = read_cart(request), person_of(request)
    mine = list(organizations_of(person)) if person else []
    return {
        "is_on_cart": _is_same_code(cart, code),
        "covers_cart": _covers(request, cart, voucher),
        "next_url": reverse(next_step(request, cart)),
        "organizations": [row for row in mine if has_role(getattr(row, ROLES_ATTRIBUTE), _RIGHT)],
        "is_powerless": bool(mine) and not any(has_role(getattr(row, ROLES_ATTRIBUTE), _RIGHT) for row in mine),
    }


def _is_same_code(cart: Cart, code: str) -> bool:
    kept = voucher_code_of(cart)
    return bool(kept) and normalize_code(kept) == normalize_code(code)


def _covers(request: HttpRequest, cart: Cart, voucher: Voucher) -> bool:
    if not cart.plan or not cart.blueprints:
        return False
    quote = price_cart(request, cart, with_voucher=False).quote
    return quote is not None and quote.split.charge_minor <= voucher.grant_minor


def _with_headers(response: HttpResponse) -> HttpResponse:
    # The code stands in the address: it must not travel to another site. With "no-referrer" browsers send
    # "Origin: null" with this page's own forms, and the check against forged requests refuses them.
    response.headers["Referrer-Policy"] = "same-origin"
    return response
