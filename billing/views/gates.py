"""A Change that waits: what is missing and until when, and one's own yes. The panel stands on the Change's page too."""

from http import HTTPStatus
from typing import Any, cast
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from billing.views.applications import find_environment
from billing.views.carts import see_other
from billing.views.console import find_organization, shell
from billing.views.panels import load_panels, show_panels
from catalyst.core.errors import DomainError, NotFound, PermissionRefused
from marketplace.models import Change
from marketplace.selectors.changes import get_change
from marketplace.services.change_gates import approve_change, judge_change, may_approve
from tenancy.models import User
from tenancy.selectors.organizations import ROLES_ATTRIBUTE
from tenancy.selectors.permissions import has_role


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def approve(request: HttpRequest, slug: str, env_type: str, change_id: UUID) -> HttpResponse:
    """Show what a waiting Change still needs, and take the reader's yes."""
    organization = find_organization(request, slug)
    context = shell(request, organization, "applications")
    if not context["sees_apps"]:
        return render(request, "console/refused.html", context, status=HTTPStatus.FORBIDDEN)
    environment = find_environment(request, organization, env_type)
    change = get_change(organization, env_type, change_id)
    context |= {"environment": environment, "change": change, "refusal": None}
    if request.method == "POST":
        if not has_role(getattr(organization, ROLES_ATTRIBUTE), "change.approve"):
            raise PermissionRefused(_("Your role does not allow this."))
        try:
            _approve(request, change)
        except NotFound:
            raise
        except DomainError as error:
            context |= {"refusal": error, **_gates(request, change)}
            return render(request, "console/change_approve.html", context, status=error.status)
        messages.success(request, _("Your approval is noted. The change is made when nothing else is missing."))
        return see_other(reverse("console-change-approve", args=[slug, env_type, change.pk]))
    return show_panels(request, "console/change_approve.html", context | _gates(request, change))


def _approve(request: HttpRequest, change: Change) -> None:
    approve_change(
        change_id=change.pk,
        preview_id=request.POST.get("preview", "")[:64],
        actor=cast(User, request.user),
        is_emergency="emergency" in request.POST,
        reason=request.POST.get("reason", ""),
        now=timezone.now(),
    )


def _gates(request: HttpRequest, change: Change) -> dict[str, Any]:
    return load_panels({"gates": lambda: gates_panel(request, change)})


def gates_panel(request: HttpRequest, change: Change) -> dict[str, Any]:
    """Return what ``console/change_gates.html`` shows as ``gates``; empty lists for a Change that does not wait."""
    person = cast(User, request.user)
    is_waiting = change.state == Change.State.AWAITING_GATES
    return {
        "is_waiting": is_waiting,
        "verdicts": judge_change(change, now=timezone.now()) if is_waiting else [],
        "approvals": list(change.approvals.select_related("approver").order_by("created_at", "pk")),
        "may_approve": may_approve(change, person),
        "may_declare_emergency": may_approve(change, person, is_emergency=True),
        "is_own": change.author_id == person.pk,
    }
