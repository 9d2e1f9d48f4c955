"""The people of an Organization: who there is, who is invited, what they may do, and how one leaves."""

from http import HTTPStatus
from typing import Any, cast
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from billing.views.carts import see_other
from billing.views.console import find_organization, shell
from billing.views.panels import load_panels, show_panels
from catalyst.core.errors import DomainError
from tenancy.forms.team import ENVIRONMENT_TITLES, InviteForm, TermsForm, terms_of
from tenancy.models import Invitation, Organization, User
from tenancy.selectors.organizations import ROLES_ATTRIBUTE, list_members
from tenancy.selectors.permissions import has_role
from tenancy.selectors.team import list_invitations
from tenancy.services.invitations import invite_member, resend_invitation, revoke_invitation
from tenancy.services.memberships import change_membership, leave_organization, remove_membership


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def team(request: HttpRequest, slug: str) -> HttpResponse:
    """Show members and open invitations; take a new invitation from whoever may invite."""
    organization = find_organization(request, slug)
    context = shell(request, organization, "team") | {"invites": _may(organization, "member.invite")}
    if request.method == "POST" and not context["invites"]:
        return _refused(request, context)
    form = InviteForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid() and _invite(request, organization, form):
        return see_other(_team(organization))
    context |= {"form": form if context["invites"] else None}
    panels = {"members": lambda: _members(request, organization)}
    if context["invites"]:
        panels["invited"] = lambda: _invited(organization)
    context |= load_panels(panels)
    if form.errors:
        return render(request, "console/team.html", context, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    return show_panels(request, "console/team.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def member(request: HttpRequest, slug: str, membership_id: UUID) -> HttpResponse:
    """Show one member's role, Environments and end, and take others."""
    organization = find_organization(request, slug)
    context = shell(request, organization, "team")
    if not _may(organization, "member.change_role"):
        return _refused(request, context)
    membership = get_object_or_404(list_members(organization), uuid=membership_id)
    form = TermsForm(request.POST if request.method == "POST" else None, initial=terms_of(membership))
    if request.method == "POST" and form.is_valid():
        try:
            change_membership(membership_id=membership.pk, **form.terms(), actor=_person(request), now=timezone.now())
        except DomainError as error:
            form.add_refusal(error)
        else:
            messages.success(request, _("Saved. It holds from their next step on, and they are told by e-mail."))
            return see_other(_team(organization))
    context |= {"membership": membership, "form": form, "is_own": membership.user_id == request.user.pk}
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    return render(request, "console/team_member.html", context, status=status)


@require_POST
@login_required
def remove(request: HttpRequest, slug: str, membership_id: UUID) -> HttpResponse:
    """End a membership."""
    organization = find_organization(request, slug)
    if not _may(organization, "member.remove"):
        return _refused(request, shell(request, organization, "team"))
    membership = get_object_or_404(list_members(organization), uuid=membership_id)
    remove_membership(membership_id=membership.pk, actor=_person(request))
    messages.success(request, _("Removed. What they had open here ends with their next step."))
    return see_other(_team(organization))


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def leave(request: HttpRequest, slug: str) -> HttpResponse:
    """Say what leaving means; leave once that is confirmed."""
    organization = find_organization(request, slug)
    context = shell(request, organization, "team")
    if request.method == "POST":
        try:
            leave_organization(organization=organization, user=_person(request))
        except DomainError as error:
            return render(request, "console/team_leave.html", context | {"refusal": error}, status=error.status)
        messages.success(request, _("You have left %(organization)s.") % {"organization": organization.name})
        return see_other(reverse("console"))
    return render(request, "console/team_leave.html", context)


@require_POST
@login_required
def resend(request: HttpRequest, slug: str, invitation_id: UUID) -> HttpResponse:
    """Send an invitation again."""
    organization = find_organization(request, slug)
    if not _may(organization, "member.invite"):
        return _refused(request, shell(request, organization, "team"))
    invitation = _find(organization, invitation_id)
    try:
        resend_invitation(invitation_id=invitation.pk, actor=_person(request), now=timezone.now())
    except DomainError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, _("The invitation is sent again. It works for another seven days."))
    return see_other(_team(organization))


@require_POST
@login_required
def revoke(request: HttpRequest, slug: str, invitation_id: UUID) -> HttpResponse:
    """Withdraw an invitation."""
    organization = find_organization(request, slug)
    if not _may(organization, "member.invite"):
        return _refused(request, shell(request, organization, "team"))
    invitation = _find(organization, invitation_id)
    revoke_invitation(invitation_id=invitation.pk, actor=_person(request), now=timezone.now())
    messages.success(request, _("The invitation is withdrawn. Its link opens nothing any more."))
    return see_other(_team(organization))


def _invite(request: HttpRequest, organization: Organization, form: InviteForm) -> bool:
    """Send what the form asks for; a refusal goes into the form."""
    terms = form.terms()
    try:
        invite_member(
            organization=organization,
            email=form.cleaned_data["email"],
            role=terms["role"],
            env_types=terms["env_types"],
            member_until=terms["expires_at"],
            actor=_person(request),
            now=timezone.now(),
        )
    except DomainError as error:
        form.add_refusal(error)
        return False
    text = _("The invitation is on its way to %(email)s. It works for seven days.")
    messages.success(request, text % {"email": form.cleaned_data["email"]})
    return True


def _members(request: HttpRequest, organization: Organization) -> list[dict[str, Any]]:
    """Return the members by name, each with what the reader may do about them."""
    edits = _may(organization, "member.change_role")
    rows = list_members(organization).order_by("user__display_name", "user__email", "role")
    return [
        {
            "row": row,
            "places": _titles(row.env_types),
            "is_own": row.user_id == request.user.pk,
            "edits": edits and row.user_id != request.user.pk,
        }
        for row in rows
    ]


def _invited(organization: Organization) -> list[dict[str, Any]]:
    now = timezone.now()
    return [
        {"row": row, "places": _titles(row.env_types), "is_over": row.expires_at <= now}
        for row in list_invitations(organization).order_by("email")
    ]


def _titles(env_types: list[str] | None) -> list[Any]:
    return [ENVIRONMENT_TITLES.get(env_type, env_type) for env_type in env_types or ()]


def _find(organization: Organization, invitation_id: UUID) -> Invitation:
    return get_object_or_404(list_invitations(organization), uuid=invitation_id)


def _team(organization: Organization) -> str:
    return reverse("console-team", args=[organization.slug])


def _may(organization: Organization, permission: str) -> bool:
    return has_role(getattr(organization, ROLES_ATTRIBUTE), permission)


def _refused(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    return render(request, "console/refused.html", context, status=HTTPStatus.FORBIDDEN)


def _person(request: HttpRequest) -> User:
    return cast(User, request.user)
