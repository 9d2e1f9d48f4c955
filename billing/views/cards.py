"""Change of the card: off to the processor's page, and back. Card numbers never reach us."""

from http import HTTPStatus
from typing import cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from billing.services.cards import follow_card_return, start_card_change
from billing.views.carts import see_other
from billing.views.console import find_organization, shell
from catalyst.core.errors import DomainError
from tenancy.models import User
from tenancy.selectors.sovereign import get_sovereign


@never_cache
@require_POST
@login_required
def change_card(request: HttpRequest, slug: str) -> HttpResponse:
    """Send the reader to the page on which a card is saved; nothing is charged there."""
    organization = find_organization(request, slug)
    context = shell(request, organization, "billing")
    if not context["edits_billing"]:
        return render(request, "console/refused.html", context, status=HTTPStatus.FORBIDDEN)
    back = f"{settings.PUBLIC_URL}{reverse('console-card-return', args=[organization.slug])}"
    try:
        address = start_card_change(
            organization=organization,
            sovereign=get_sovereign(),
            actor=cast(User, request.user),
            returns=(f"{back}?session_id={{CHECKOUT_SESSION_ID}}", back),
        )
    except DomainError as error:
        messages.error(request, error.message)
        address = reverse("console-billing", args=[organization.slug])
    return see_other(address)


@never_cache
@require_safe
@login_required
def card_return(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask the processor what became of the card, say it, and show the billing page."""
    organization = find_organization(request, slug)
    session_id = request.GET.get("session_id", "")[:200]
    if not session_id:
        messages.info(request, _("The card was not changed."))
        return see_other(reverse("console-billing", args=[organization.slug]))
    outcome = follow_card_return(organization=organization, session_id=session_id, now=timezone.now())
    if outcome == "saved":
        messages.success(request, _("The card is saved. It pays from now on."))
    elif outcome == "declined":
        messages.warning(request, _("The card is saved, but it was declined. Add another card, or ask your bank."))
    else:
        messages.info(request, _("We are confirming the card. Reload this page in a minute."))
    return see_other(reverse("console-billing", args=[organization.slug]))
