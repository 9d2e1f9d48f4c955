"""API tokens in the console: a person's own, and those of the Organization. A new one is shown once, in this answer."""

from http import HTTPStatus
from typing import Any, cast
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from billing.views.carts import see_other
from billing.views.console import find_organization, shell
from billing.views.panels import load_panels, show_panels
from catalyst.core.errors import DomainError
from tenancy.forms.team import ENVIRONMENT_TITLES
from tenancy.forms.tokens import ORGANIZATION, TokenForm, describe_scopes
from tenancy.models import ApiToken, Organization, User
from tenancy.selectors.organizations import ROLES_ATTRIBUTE
from tenancy.selectors.permissions import has_role, permissions_of
from tenancy.selectors.team import organization_tokens, own_tokens
from tenancy.services.tokens import create_token, revoke_token


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def tokens(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the reader's tokens, and the Organization's to whoever looks after them; make a new one."""
    organization = find_organization(request, slug)
    roles = getattr(organization, ROLES_ATTRIBUTE)
    context = shell(request, organization, "tokens")
    context["sees_shared"] = has_role(roles, "token.revoke")
    form = _form(organization, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        made = _make(request, organization, form)
        if made is not None:
            context |= {"made": made[0], "plaintext": made[1]}
            form = _form(organization, None)
    panels = {"own": lambda: _shown(own_tokens(_person(request), organization))}
    if context["sees_shared"]:
        panels["shared"] = lambda: _shown(organization_tokens(organization).exclude(user=request.user.pk))
    context |= {"form": form, **load_panels(panels)}
    if form.errors:
        return render(request, "console/tokens.html", context, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    if "made" in context:
        # Whatever else cannot be shown now: this text is shown now or never.
        return render(request, "console/tokens.html", context, status=HTTPStatus.CREATED)
    return show_panels(request, "console/tokens.html", context)


@require_POST
@login_required
def revoke(request: HttpRequest, slug: str, token_id: UUID) -> HttpResponse:
    """Revoke one of the reader's own tokens, or one of the Organization's."""
    organization = find_organization(request, slug)
    token = own_tokens(_person(request), organization).filter(uuid=token_id).first()
    if token is None and has_role(getattr(organization, ROLES_ATTRIBUTE), "token.revoke"):
        token = organization_tokens(organization).filter(uuid=token_id).first()
    if token is None:
        raise Http404
    revoke_token(token_id=token.pk, actor=_person(request), now=timezone.now())
    messages.success(request, _("The token is revoked. Whatever uses it gets no answer from now on."))
    return see_other(reverse("console-tokens", args=[organization.slug]))


def _form(organization: Organization, data: Any) -> TokenForm:
    roles = getattr(organization, ROLES_ATTRIBUTE)
    return TokenForm(data, permissions=permissions_of(roles), makes_shared=has_role(roles, "token.create"))


def _make(request: HttpRequest, organization: Organization, form: TokenForm) -> tuple[ApiToken, str] | None:
    """Make what the form asks for; a refusal goes into the form."""
    now = timezone.now()
    place = organization if form.cleaned_data["reach"] == ORGANIZATION else None
    try:
        return create_token(**form.asked(now=now), owner=_person(request), organization=place, now=now)
    except DomainError as error:
        form.add_refusal(error)
        return None


def _shown(rows: Any) -> list[dict[str, Any]]:
    return [
        {
            "row": row,
            "scopes": describe_scopes(row.scopes),
            "place": ENVIRONMENT_TITLES.get(row.env_type, row.env_type),
        }
        for row in rows.order_by("-created_at", "-pk")
    ]


def _person(request: HttpRequest) -> User:
    return cast(User, request.user)
