"""The questions of the checkout, one page each: Plan, Apps, Add-ons and details."""

from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from billing.forms.details import DetailsForm, slug_problem
from billing.models import Cart
from billing.services.carts import CartChange, change_cart, set_blueprints, set_organization
from billing.views.carts import bind_own, open_cart, person_of, read_cart, remember_cart, see_other
from billing.views.pricing import price_cart
from billing.views.shopping import shopping_organization
from billing.views.wizard import chosen_settings, render_step
from catalyst.core.errors import DomainError
from marketplace.selectors.catalogue import BlueprintCard, list_cards
from marketplace.selectors.price_list import AddOnOffer, PlanOffer, list_addons, list_plans
from marketplace.selectors.selection import CapacityExceeded, LineUnavailable
from marketplace.services.typed_secrets import keep_typed_secrets
from tenancy.models import Organization
from tenancy.selectors.organizations import ROLES_ATTRIBUTE, organizations_of
from tenancy.selectors.permissions import has_role
from tenancy.selectors.sovereign import get_sovereign

_SHORTEST_SLUG = 3


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def plan(request: HttpRequest) -> HttpResponse:
    """Which Plan? Without an answer the question stands again."""
    plans = _plans_for_sale()
    if request.method != "POST":
        return render_step(request, read_cart(request), "plan", {"plans": plans})
    chosen = request.POST.get("plan", "")
    if chosen not in {each.slug for each in plans}:
        context = {"plans": plans, "error": _("Choose a plan")}
        return render_step(request, read_cart(request), "plan", context, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    cart = open_cart(request)
    change_cart(cart=cart, change=CartChange(plan=chosen))
    return remember_cart(see_other(_after(request, "checkout-apps")), cart)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def apps(request: HttpRequest) -> HttpResponse:
    """Which Applications? They must fit the Plan; there is no way past that."""
    cart = open_cart(request) if request.method == "POST" else read_cart(request)
    organization = shopping_organization(request, cart)
    cards = _apps_for_sale(organization)
    if request.method != "POST":
        return _show_apps(request, cart, cards)
    wanted = [name for name in request.POST.getlist("blueprints") if name in {card.name for card in cards}]
    set_blueprints(cart=cart, names=wanted)
    bind_own(cart, [card for card in cards if card.name in wanted], organization)
    cart.refresh_from_db()
    if "refresh" in request.POST:
        return remember_cart(_show_apps(request, cart, cards), cart)
    if wanted and not isinstance(price_cart(request, cart).refusal, CapacityExceeded | LineUnavailable):
        return remember_cart(see_other(_after(request, "checkout-addons")), cart)
    error = "" if wanted else _("Choose at least one app")
    answer = _show_apps(request, cart, cards, error=error, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    return remember_cart(answer, cart)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def addons(request: HttpRequest) -> HttpResponse:
    """Which extras, for which Organization, and what the Applications must be told."""
    cart = read_cart(request)
    if request.method != "POST":
        return show_details(request, cart, details_form(request, cart))
    cart = open_cart(request)
    form = details_form(request, cart, request.POST)
    if not form.is_valid():
        return remember_cart(show_details(request, cart, form, status=HTTPStatus.UNPROCESSABLE_ENTITY), cart)
    handles = {
        name: keep_typed_secrets(scope=f"cart:{cart.pk}", blueprint=name, values=typed, now=timezone.now())
        for name, typed in form.typed_secrets.items()
    }
    change_cart(cart=cart, change=form.change(handles))
    if form.chosen is not None:
        set_organization(cart=cart, organization=form.chosen)
    target = reverse("checkout-review")
    if person_of(request) is None:
        target = f"{reverse('account_login')}?{urlencode({'next': target})}"
    return remember_cart(see_other(target), cart)


@require_safe
def slug_check(request: HttpRequest) -> HttpResponse:
    """Say whether a short name is free; only a hint, the purchase decides."""
    slug = request.GET.get("slug", "").strip().lower()[:40]
    problem = slug_problem(slug) if len(slug) >= _SHORTEST_SLUG else ""
    return render(request, "billing/slug_state.html", {"slug": slug, "problem": problem})


def details_form(request: HttpRequest, cart: Cart, data: Any = None) -> DetailsForm:
    """Return the form of step 3 for this reader."""
    return DetailsForm(
        data,
        cart=cart,
        addons=[each.slug for each in _addons_for_sale() if each.included_from != "every"],
        organizations=_own_organizations(request),
        apps=chosen_settings(request, cart),
    )


def show_details(request: HttpRequest, cart: Cart, form: DetailsForm, *, status: int = HTTPStatus.OK) -> HttpResponse:
    """Draw step 3."""
    context = {
        "form": form,
        "offers": _addons_for_sale(),
        "chosen": form["addons"].value() or [],
        "apps": ", ".join(dict.fromkeys(app.title for app in form.emails)),
    }
    return render_step(request, cart, "addons", context, status=status)


def add_refusal(form: DetailsForm, error: DomainError) -> None:
    """Show on the form why an Organization could not be founded."""
    form.full_clean()
    if not form.errors:
        form.add_error("slug", error.message)


def _own_organizations(request: HttpRequest) -> list[Organization]:
    person = person_of(request)
    if person is None:
        return []
    mine = organizations_of(person).order_by("name")
    return [row for row in mine if has_role(getattr(row, ROLES_ATTRIBUTE), "checkout.create")]


def _plans_for_sale() -> list[PlanOffer]:
    plans = list_plans(currency=str(get_sovereign().currency_id), at=timezone.now())
    return [each for each in plans if each.state == "now" and each.price_minor is not None]


def _apps_for_sale(organization: Organization | None) -> list[BlueprintCard]:
    currency, now = str(get_sovereign().currency_id), timezone.now()
    cards = list_cards(organization, currency=currency, at=now, language="en")
    return [card for card in cards if card.is_installable]


def _addons_for_sale() -> list[AddOnOffer]:
    offers = list_addons(currency=str(get_sovereign().currency_id), at=timezone.now())
    return [each for each in offers if each.state == "now" and (each.price_minor is not None or each.included_from)]


def _show_apps(
    request: HttpRequest, cart: Cart, cards: list[BlueprintCard], *, error: str = "", status: int = HTTPStatus.OK
) -> HttpResponse:
    """Draw step 2; when the choice is too large, with the Plan that would hold it."""
    sums = price_cart(request, cart)
    larger = next((each for each in _plans_for_sale() if each.slug == sums.smallest_plan), None)
    context = {"cards": cards, "error": error, "larger": larger}
    return render_step(request, cart, "apps", context, status=status, sums=sums)


def _after(request: HttpRequest, name: str) -> str:
    """Go on, or back to Review when the reader came from there to change one answer."""
    return reverse("checkout-review" if request.POST.get("back") == "review" else name)
