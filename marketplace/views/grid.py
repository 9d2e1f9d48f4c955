"""The marketplace grid: search, facets, cards."""

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import get_language
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from marketplace.selectors.catalogue import list_cards
from marketplace.selectors.price_list import list_categories, list_industries
from marketplace.views.facets import SORTS, Grid, Question
from tenancy.selectors.sovereign import get_sovereign
from tenancy.views.chosen_organization import chosen_organization, own_organizations

CARDS_PER_PAGE = 24


@require_safe
@vary_on_headers("HX-Request")
def marketplace(request: HttpRequest) -> HttpResponse:
    """Show what can be had; htmx gets only the part below the search field."""
    question, now, language = Question.from_query(request.GET), timezone.now(), get_language() or "en"
    currency, organization = str(get_sovereign().currency_id), chosen_organization(request)
    grid = Grid(
        question=question,
        query=request.GET,
        cards=list_cards(organization, currency=currency, at=now, search=question.search, language=language),
        categories=list_categories(),
        industries=list_industries(currency=currency, at=now),
        language=language,
    )
    context = {
        "question": question,
        "sorts": SORTS,
        "grid": grid,
        "page": Paginator(grid.cards, CARDS_PER_PAGE).get_page(request.GET.get("page")),
        "is_front": not request.GET,
        "organization": organization,
        "organizations": own_organizations(request),
    }
    is_fragment = request.headers.get("HX-Request") == "true" and "HX-History-Restore-Request" not in request.headers
    return render(request, "marketplace/grid.html#catalogue" if is_fragment else "marketplace/grid.html", context)
