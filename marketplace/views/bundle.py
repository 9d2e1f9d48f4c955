"""One Bundle's page: what is installed today, what comes later, what it saves."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from catalyst.core.errors import NotFound
from marketplace.selectors.catalogue import list_cards
from marketplace.selectors.price_list import list_bundles, list_plans
from tenancy.selectors.sovereign import get_sovereign
from tenancy.views.chosen_organization import chosen_organization


@require_safe
def bundle_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a Bundle.

    :raises NotFound: there is none of this name.
    """
    now, currency = timezone.now(), str(get_sovereign().currency_id)
    bundle = next((each for each in list_bundles(currency=currency, at=now) if each.slug == slug), None)
    if bundle is None:
        raise NotFound("There is no such Bundle.")
    cards = {card.name: card for card in list_cards(chosen_organization(request), currency=currency, at=now)}
    members = [cards[name] for name in bundle.members if name in cards]
    plans = {plan.slug: plan for plan in list_plans(currency=currency, at=now)}
    context = {
        "bundle": bundle,
        "today": [card for card in members if card.name in bundle.members_today],
        "later": [card for card in members if card.name not in bundle.members_today],
        "smallest": plans.get(bundle.fits),
        "recommended": plans.get(bundle.recommended_plan),
    }
    return render(request, "marketplace/bundle.html", context)
