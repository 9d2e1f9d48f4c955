"""One Blueprint's page."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import get_language
from django.views.decorators.http import require_safe

from marketplace.selectors.catalogue import BlueprintDetail, get_blueprint, get_card, list_cards
from marketplace.selectors.price_list import list_plans
from tenancy.selectors.sovereign import get_sovereign


@require_safe
def blueprint_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what a Blueprint is, what it brings along, and what it costs."""
    now, language = timezone.now(), get_language() or "en"
    currency = str(get_sovereign().currency_id)
    blueprint = get_blueprint(slug, currency=currency, at=now)
    minimum = blueprint.card.minimum_plan
    context = {
        "blueprint": blueprint,
        "card": blueprint.card,
        "description": _description(blueprint, language),
        "services": [get_card(each["blueprint"], currency=currency, at=now) for each in blueprint.depends],
        "settings": _settings(blueprint.config_schema, language),
        "plan": next((plan for plan in list_plans(currency=currency, at=now) if plan.slug == minimum), None),
        "related": [
            each
            for each in list_cards(currency=currency, at=now, language=language)
            if each.slug in blueprint.card.related
        ],
    }
    return render(request, "marketplace/blueprint.html", context)


def _description(blueprint: BlueprintDetail, language: str) -> dict[str, str]:
    """Choose the description in the page's language, else the English one with its language named."""
    if language == "ar" and blueprint.description_ar:
        return {"text": blueprint.description_ar, "language": "ar"}
    return {"text": blueprint.description_en, "language": "en"}


def _settings(schema: dict[str, Any], language: str) -> list[dict[str, Any]]:
    return [
        {
            **_words(key, node, language),
            "default": node.get("default"),
            "is_required": key in schema.get("required", []),
        }
        for key, node in schema.get("properties", {}).items()
    ]


def _words(key: str, node: dict[str, Any], language: str) -> dict[str, str]:
    """Return title and description of a property in the page's language, else the English ones."""
    own = node.get("x-catalyst-i18n", {}).get(language)
    words = own or node
    return {
        "title": words.get("title", key),
        "description": words.get("description", ""),
        "language": language if own else "en",
    }
