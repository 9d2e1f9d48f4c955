"""What ends, in the console: protection against it, kept data, an Environment, the Organization.

What cannot be undone says first what dies, and is confirmed by typing a name. Every form works without scripts.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from billing.views.applications import Visit, find_environment, of_application
from billing.views.carts import see_other
from billing.views.console import find_organization, shell
from billing.views.panels import load_panels, show_panels
from catalyst.core.errors import DomainError, NotFound
from marketplace.models import Job
from marketplace.selectors.installed import current_applications
from marketplace.selectors.kept_data import kept_applications
from marketplace.services.application_data import (
    NotRemoved,
    find_kept,
    kept_data,
    start_purge,
)
from marketplace.services.environment_jobs import DELETE_ENVIRONMENT, start_deletion
from marketplace.services.jobs import find_unfinished
from marketplace.services.organization_jobs import OFFBOARD, start_offboarding
from marketplace.services.protection import set_protection
from tenancy.models import Environment, Organization, User
from tenancy.selectors.organizations import ROLES_ATTRIBUTE, list_environments, visible_env_types
from tenancy.selectors.permissions import has_role


@require_POST
@of_application("changes_apps")
def protection(visit: Visit) -> HttpResponse:
    """Protect an Application against removal, or lift that, which is an administrator's right."""
    is_protected = visit.request.POST.get("protect") == "yes"
    if not is_protected and not _may(visit.organization, "delete_protection.lift"):
        return render(visit.request, "console/refused.html", visit.context, status=HTTPStatus.FORBIDDEN)
    set_protection(
        environment=visit.environment,
        name=visit.application.slug,
        is_protected=is_protected,
        actor=visit.person,
        now=timezone.now(),
    )
    done = _("It is protected: nobody can remove it until this is lifted.") if is_protected else _("It can be removed.")
    messages.success(visit.request, done)
    return see_other(visit.address)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def purge(request: HttpRequest, slug: str, env_type: str, application: str) -> HttpResponse:
    """Say what is left of a removed Application; delete it for good once its name is typed."""
    organization = find_organization(request, slug)
    context = shell(request, organization, "applications")
    if not _may(organization, "application.purge"):
        return render(request, "console/refused.html", context, status=HTTPStatus.FORBIDDEN)
    environment = find_environment(request, organization, env_type)
    try:
        found = find_kept(environment, application)
    except (NotFound, NotRemoved):
        raise Http404 from None
    context |= {"environment": environment, "application": found}

    def act(typed: str) -> Job:
        return start_purge(environment=environment, name=application, typed=typed, actor=_person(request), now=_now())

    context |= _left(found)
    return _typed(request, "console/purge.html", context, act)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def environment_settings(request: HttpRequest, slug: str, env_type: str) -> HttpResponse:
    """Show an Environment, the data that removed Applications left, and how it is deleted."""
    organization = find_organization(request, slug)
    context = shell(request, organization, "settings")
    if not _may(organization, "environment.view") or (
        request.method == "POST" and not _may(organization, "environment.delete")
    ):
        return render(request, "console/refused.html", context, status=HTTPStatus.FORBIDDEN)
    environment = find_environment(request, organization, env_type)

    def act(typed: str) -> Job:
        return start_deletion(environment=environment, typed=typed, actor=_person(request), now=_now())

    context |= {
        "environment": environment,
        "purges": _may(organization, "application.purge"),
        "deletes": _may(organization, "environment.delete"),
        "running": find_unfinished(kind=DELETE_ENVIRONMENT, environment_id=environment.pk),
    }
    context |= load_panels(
        {
            "kept": lambda: list(kept_applications(environment)),
            "installed": lambda: [row.slug for row in current_applications(environment.pk)],
        }
    )
    return _typed(request, "console/environment.html", context, act)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def organization_settings(request: HttpRequest, slug: str) -> HttpResponse:
    """Show an Organization with its Environments, and how it is deleted."""
    organization = find_organization(request, slug)
    context = shell(request, organization, "settings")
    if request.method == "POST" and not context["deletes"]:
        return render(request, "console/refused.html", context, status=HTTPStatus.FORBIDDEN)

    def act(typed: str) -> Job:
        return start_offboarding(organization=organization, typed=typed, actor=_person(request), now=_now())

    context |= {"running": find_unfinished(kind=OFFBOARD, organization_id=organization.pk)}
    context |= load_panels({"environments": lambda: _environments(request, organization)})
    return _typed(request, "console/organization.html", context, act)


def _typed(request: HttpRequest, template: str, context: dict[str, Any], act: Callable[[str], Job]) -> HttpResponse:
    """Do what was confirmed and go to its Job; show a refusal where the name is typed."""
    if request.method == "POST":
        try:
            job = act(request.POST.get("name", "")[:80])
        except DomainError as error:
            return render(request, template, {"broken": [], **context, "refusal": error}, status=error.status)
        messages.success(request, _("It has begun. You see here how far it is."))
        return see_other(reverse("console-job", args=[context["organization"].slug, job.pk]))
    return show_panels(request, template, {"broken": [], **context})


def _left(application: Any) -> dict[str, Any]:
    """Return what the cluster says is left; what cannot be asked now is said as such."""
    try:
        return {"left": kept_data(application)}
    except DomainError as error:
        return {"unasked": error.message}


def _environments(request: HttpRequest, organization: Organization) -> list[Environment]:
    visible = visible_env_types(request.user, organization)
    return list(list_environments(organization, env_types=visible).order_by("name"))


def _may(organization: Organization, permission: str) -> bool:
    return has_role(getattr(organization, ROLES_ATTRIBUTE), permission)


def _person(request: HttpRequest) -> User:
    return cast(User, request.user)


def _now() -> Any:
    return timezone.now()
