"""The price list."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from marketplace.selectors.price_list import list_addons, list_bundles, list_plans
from tenancy.selectors.sovereign import get_sovereign


@require_safe
def plans_page(request: HttpRequest) -> HttpResponse:
    """Show Plans, Add-ons and Bundles with their monthly prices."""
    now, currency = timezone.now(), str(get_sovereign().currency_id)
    plans = list_plans(currency=currency, at=now)
    context = {
        "plans": [plan for plan in plans if plan.state == "now" and plan.price_minor is not None],
        "coming": [plan for plan in plans if plan.state != "now"],
        "addons": list_addons(currency=currency, at=now),
        "bundles": list_bundles(currency=currency, at=now),
    }
    return render(request, "marketplace/plans.html", context)
