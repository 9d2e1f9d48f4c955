"""One Application in the console: why it has its version, what is newer, and the upgrade.

``of_application`` is the door of every page of one Application. Every form works without scripts.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from billing.views.asked_changes import look_at_change
from billing.views.carts import see_other
from billing.views.console import find_organization, shell
from catalyst.core import idempotency
from catalyst.core.errors import DomainError
from marketplace.models import Application, Change
from marketplace.selectors.application_state import get_state
from marketplace.selectors.applications import get_application
from marketplace.selectors.installed import is_change_waiting
from marketplace.selectors.secrets import list_secrets
from marketplace.selectors.upgrades import available_upgrades
from marketplace.selectors.why import explain_version, last_edit
from marketplace.services.edits import PreviewRequired
from marketplace.services.edits_preview import Preview, preview
from marketplace.services.planner_request import ChangeRequest
from marketplace.services.upgrades import Mode, plan_upgrade
from tenancy.models import Environment, Organization, User
from tenancy.selectors.organizations import visible_env_types


@dataclass(frozen=True, slots=True)
class Visit:
    """One reader at one Application, with what every page of it shows."""

    request: HttpRequest
    organization: Organization
    environment: Environment
    application: Application
    context: dict[str, Any]

    @property
    def person(self) -> User:
        return cast(User, self.request.user)

    @property
    def address(self) -> str:
        names = [self.organization.slug, self.environment.env_type, self.application.slug]
        return reverse("console-application", args=names)

    def show(self, page: str, status: int = HTTPStatus.OK, **context: Any) -> HttpResponse:
        return render(self.request, f"console/{page}.html", {**self.context, **context}, status=status)


@dataclass(frozen=True, slots=True)
class Taken:
    """One resource before and after; ``most`` is what the Plan gives, empty where nothing limits it."""

    label: str
    step: str
    most: str


Page = Callable[[Visit], HttpResponse]


def of_application(right: str) -> Callable[[Page], Callable[..., HttpResponse]]:
    """Find the Application for a page, from the reader's own Organization; ``right`` is what the frame says they may.

    Whoever may not gets the refusal, whoever belongs elsewhere what a missing page shows.
    """

    def door(page: Page) -> Callable[..., HttpResponse]:
        @never_cache
        @login_required
        def view(request: HttpRequest, slug: str, env_type: str, application: str) -> HttpResponse:
            organization = find_organization(request, slug)
            context = shell(request, organization, "applications")
            if not context["sees_apps"] or not context[right]:
                return render(request, "console/refused.html", context, status=HTTPStatus.FORBIDDEN)
            environment = find_environment(request, organization, env_type)
            installed = Application.objects.filter(environment=environment, removed_by=None)
            found = get_object_or_404(installed.exclude(change__commit=""), slug=application)
            context |= {
                "application": found,
                "environment": environment,
                "status": get_application(organization, env_type, application),
            }
            return page(Visit(request, organization, environment, found, context))

        return view

    return door


def find_environment(request: HttpRequest, organization: Organization, env_type: str) -> Environment:
    """Return one of the Organization's Environments that the reader may see; another one looks like a missing one."""
    visible = visible_env_types(request.user, organization)
    if visible is not None and env_type not in visible:
        raise Http404
    environments = Environment.objects.select_related("organization")
    return get_object_or_404(environments, organization=organization, env_type=env_type)


@require_safe
@of_application("sees_apps")
def application_page(visit: Visit) -> HttpResponse:
    """Show why an Application has its version, and what is newer."""
    try:
        now = timezone.now()
        notices = available_upgrades(visit.environment, now=now)
        secrets = list_secrets(visit.application)
        why = explain_version(visit.environment, visit.application.slug, now=now)
        state = get_state(visit.application, visit.context["status"], now=now)
    except (OperationalError, InterfaceError):
        return visit.show("application", HTTPStatus.SERVICE_UNAVAILABLE, is_broken=True)
    edit = last_edit(visit.application)
    return visit.show(
        "application",
        why=why,
        state=state,
        has_missing_secret=any(each.is_missing for each in secrets),
        has_waiting_secret=any(each.is_waiting for each in secrets),
        notice=next((each for each in notices if each.application == visit.application.slug), None),
        is_waiting=is_change_waiting(visit.environment.pk),
        failed=edit if edit is not None and edit.state == Change.State.FAILED else None,
    )


@require_http_methods(["GET", "HEAD", "POST"])
@of_application("changes_apps")
def upgrade(visit: Visit) -> HttpResponse:
    """Say what an upgrade moves, why, and what it takes; then do it."""
    sent = visit.request.POST if visit.request.method == "POST" else visit.request.GET
    wanted = {visit.application.slug: sent.get("range", "").strip()[:120]}
    if visit.request.method != "POST":
        return _preview(visit, wanted)
    try:
        plan_upgrade(
            environment=visit.environment,
            applications=wanted,
            mode=Mode.MINIMAL,
            actor=visit.person,
            now=timezone.now(),
            key=idempotency.check_key(key) if (key := sent.get("key")) else "",
        )
    except PreviewRequired:
        asked = ChangeRequest(upgrade=wanted)
        return look_at_change(visit.request, visit.environment, asked, back=visit.address)
    except DomainError as error:
        return _preview(visit, wanted, refusal=error)
    messages.success(visit.request, _("The upgrade has begun. You see here when it is done."))
    return see_other(visit.address)


def _preview(visit: Visit, wanted: dict[str, str], *, refusal: DomainError | None = None) -> HttpResponse:
    shown = None
    try:
        shown = preview(visit.environment, wanted, Mode.MINIMAL, now=timezone.now())
    except DomainError as error:
        refusal = refusal or error
    return visit.show(
        "application_upgrade",
        refusal.status if refusal else HTTPStatus.OK,
        preview=shown,
        takes=taken_by(shown) if shown else [],
        refusal=refusal,
        range=wanted[visit.application.slug],
        key=uuid.uuid4().hex,
    )


def taken_by(shown: Preview) -> list[Taken]:
    """Return what an upgrade takes, resource by resource."""
    units = {
        "memory_mib": (_("Memory"), "MiB"),
        "cpu_milli": (_("Processor, in thousandths of a core"), "m"),
        "disk_gib": (_("Disk"), "GiB"),
    }
    before, after = shown.used_before.as_json(), shown.used_after.as_json()
    given = shown.capacity.as_json() if shown.capacity else {}
    return [
        Taken(label, f"{before[name]} → {after[name]} {unit}", f"{given[name]} {unit}" if given else "")
        for name, (label, unit) in units.items()
    ]
