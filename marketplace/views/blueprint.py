"""One Blueprint's page."""

import contextlib
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from catalyst.core.errors import NotFound
from marketplace.selectors.catalogue import BlueprintCard, BlueprintDetail, get_blueprint, get_card, list_cards
from marketplace.selectors.price_list import list_plans
from marketplace.selectors.usage import applications_using
from tenancy.models import Organization
from tenancy.selectors.organizations import ROLES_ATTRIBUTE, visible_env_types
from tenancy.selectors.permissions import has_role
from tenancy.selectors.sovereign import get_sovereign
from tenancy.views.chosen_organization import chosen_organization


@require_safe
def blueprint_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what a Blueprint is, what it brings along, and what it costs."""
    now, language = timezone.now(), get_language() or "en"
    currency, organization = str(get_sovereign().currency_id), chosen_organization(request)
    blueprint = get_blueprint(slug, organization, currency=currency, at=now)
    minimum = blueprint.card.minimum_plan
    context = {
        "blueprint": blueprint,
        "card": blueprint.card,
        "description": _description(blueprint, language),
        "services": [
            get_card(each["blueprint"], organization, currency=currency, at=now) for each in blueprint.depends
        ],
        "settings": _settings(blueprint.config_schema, language),
        "plan": next((plan for plan in list_plans(currency=currency, at=now) if plan.slug == minimum), None),
        "deprecated": _deprecated(blueprint, organization, language, currency=currency, at=now),
        **_of_the_member(request, organization, blueprint.card),
        "related": [
            each
            for each in list_cards(organization, currency=currency, at=now, language=language)
            if each.slug in blueprint.card.related
        ],
    }
    return render(request, "marketplace/blueprint.html", context)


def _of_the_member(request: HttpRequest, organization: Organization | None, card: BlueprintCard) -> dict[str, Any]:
    """Return where the reader's Organization uses it, and whether the reader decides on its versions."""
    roles = getattr(organization, ROLES_ATTRIBUTE) if organization else ()
    if organization is None or not has_role(roles, "application.view"):
        return {}
    uses = applications_using(organization, card.name, env_types=visible_env_types(request.user, organization))
    return {
        "member": organization,
        "usage": [(organization, uses)] if uses else [],
        "decides": card.is_private and has_role(roles, "blueprint.publish"),
    }


def _deprecated(
    blueprint: BlueprintDetail, organization: Organization | None, language: str, *, currency: str, at: datetime
) -> dict[str, Any]:
    """Return the publisher's words on the end of a Blueprint, and what replaces it where the reader may see that."""
    said = blueprint.deprecated
    if not said:
        return {}
    words = said.get("message") or {}
    spoken = language if words.get(language) else "en"
    text = words.get(spoken) or _("Its publisher does not develop it any more. It keeps running.")
    other = None
    if name := said.get("replacedBy"):
        with contextlib.suppress(NotFound):
            other = get_card(name, organization, currency=currency, at=at)
    return {"text": text, "language": spoken if words.get(spoken) else "", "other": other}


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
