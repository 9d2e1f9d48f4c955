"""For which of a person's Organizations the marketplace is shown: one choice for each browser session."""

from http import HTTPStatus

from allauth.account.adapter import get_adapter
from django.http import HttpRequest, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_POST

from tenancy.models import Organization, User
from tenancy.selectors.organizations import organizations_of

_KEY = "organization"


def chosen_organization(request: HttpRequest) -> Organization | None:
    """Return the Organization that the reader looks for: the chosen one, else the first by name; None for a visitor.

    A choice counts only while the reader is a member.
    """
    mine = own_organizations(request)
    wanted = request.session.get(_KEY) if mine else None
    return next((each for each in mine if each.slug == wanted), mine[0] if mine else None)


def own_organizations(request: HttpRequest) -> list[Organization]:
    """Return the reader's Organizations by name, each with the reader's roles."""
    return list(organizations_of(request.user).order_by("name")) if isinstance(request.user, User) else []


@require_POST
def choose_organization(request: HttpRequest) -> HttpResponseRedirect:
    """Keep the choice and go back to the page it was made on; a foreign Organization looks like a missing one."""
    chosen = get_object_or_404(organizations_of(request.user), slug=request.POST.get("organization", ""))
    request.session[_KEY] = chosen.slug
    target = request.POST.get("next", "")
    return HttpResponseRedirect(target if get_adapter().is_safe_url(target) else "/", status=HTTPStatus.SEE_OTHER)
