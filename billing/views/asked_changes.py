"""How a page of the console asks for a Change: it makes the preview, and the preview is what a person applies."""

from typing import cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from billing.views.carts import see_other
from catalyst.core.errors import DomainError
from marketplace.services.change_previews import preview_change
from marketplace.services.planner_request import ChangeRequest
from tenancy.models import Environment, User

_LONGEST_REASON = 500


def ask_for_change(
    request: HttpRequest, environment: Environment, wanted: ChangeRequest, *, reason: str = ""
) -> HttpResponse:
    """Make the preview of a Change and go there. Refusals are those of ``preview_change``."""
    person = cast(User, request.user)
    preview = preview_change(environment=environment, request=wanted, actor=person, reason=reason, now=timezone.now())
    return see_other(preview_address(environment, preview.pk))


def look_at_change(
    request: HttpRequest, environment: Environment, wanted: ChangeRequest, *, back: str, reason: str = ""
) -> HttpResponse:
    """Make the preview of a Change and go there; what is refused is said on the page that asked, at ``back``."""
    try:
        return ask_for_change(request, environment, wanted, reason=reason)
    except DomainError as error:
        messages.error(request, error.message)
        return see_other(back)


def preview_address(environment: Environment, preview_id: str) -> str:
    """Return where a preview is shown."""
    return reverse("console-preview", args=[environment.organization.slug, environment.env_type, preview_id])


def reason_of(request: HttpRequest) -> str:
    """Return why, as the form says it."""
    return request.POST.get("reason", "").strip()[:_LONGEST_REASON]
