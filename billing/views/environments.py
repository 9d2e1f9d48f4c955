"""The Environments of one Organization in the console: each with its Plan, how full it is, and its last change."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from billing.models import Subscription
from billing.views.carts import see_other
from billing.views.console import find_organization, shell
from billing.views.panels import load_panels, show_panels
from billing.views.previews import Resource, resources_of
from catalyst.core import names
from catalyst.core.errors import DomainError
from marketplace.models import ApplicationStatus, Change, Plan
from marketplace.selectors.capacity import capacity_of, footprint_of, used_by
from marketplace.selectors.change_history import last_changes
from marketplace.selectors.installed import current_applications
from tenancy.models import Environment, Organization, User
from tenancy.selectors.organizations import ROLES_ATTRIBUTE, list_environments, visible_env_types
from tenancy.selectors.permissions import has_role
from tenancy.services.environments import create_environment

#: What each type is for, in the order in which work moves through them.
TYPES: dict[str, str | Promise] = {
    "dev": gettext_lazy("Development"),
    "stg": gettext_lazy("Staging"),
    "uat": gettext_lazy("Acceptance"),
    "prod": gettext_lazy("Production"),
    "poc": gettext_lazy("Trial"),
}


@dataclass(frozen=True, slots=True)
class Shown:
    """One Environment as the list shows it. ``plan`` is None where nothing is subscribed for it."""

    row: Environment
    title: str | Promise
    plan: Plan | None
    resources: list[Resource]
    total: int
    troubled: int
    last: Change | None
    targets: list[tuple[str, str | Promise]]


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def environments(request: HttpRequest, slug: str) -> HttpResponse:
    """List the Environments; make one that is missing."""
    organization = find_organization(request, slug)
    context = shell(request, organization, "environments")
    if not _may(organization, "environment.view"):
        return render(request, "console/refused.html", context, status=HTTPStatus.FORBIDDEN)
    visible = visible_env_types(request.user, organization)
    context["creates"] = _may(organization, "environment.create")
    if request.method == "POST":
        env_type = request.POST.get("env_type", "")[:4]
        if not context["creates"] or (visible is not None and env_type not in visible):
            return render(request, "console/refused.html", context, status=HTTPStatus.FORBIDDEN)
        return _create(request, organization, env_type, context)
    return show_panels(request, "console/environments.html", context | _listed(request, organization, context))


def _create(request: HttpRequest, organization: Organization, env_type: str, context: dict[str, Any]) -> HttpResponse:
    try:
        made = create_environment(
            organization=organization, env_type=env_type, actor=cast(User, request.user), now=timezone.now()
        )
    except DomainError as error:
        context |= _listed(request, organization, context) | {"refusal": error}
        return render(request, "console/environments.html", context, status=error.status)
    text = _("%(name)s is there. It needs a Plan before anything can be installed in it.")
    messages.success(request, text % {"name": made.name})
    return see_other(reverse("console-environments", args=[organization.slug]))


def _listed(request: HttpRequest, organization: Organization, context: dict[str, Any]) -> dict[str, Any]:
    panels = load_panels({"environments": lambda: _shown(request, organization)})
    found = {each.row.env_type for each in panels.get("environments", ())}
    visible = visible_env_types(request.user, organization)
    missing = [(key, title) for key, title in TYPES.items() if key not in found and (visible is None or key in visible)]
    return panels | {"missing": missing if context["creates"] and not panels["broken"] else []}


def _shown(request: HttpRequest, organization: Organization) -> list[Shown]:
    visible = visible_env_types(request.user, organization)
    rows = sorted(
        list_environments(organization, env_types=visible).select_related("organization"), key=lambda row: order_of(row)
    )
    plans = _plans(organization)
    last = last_changes(rows)
    statuses = list(
        ApplicationStatus.objects.filter(organization_id=organization.pk).values_list("environment_id", "status")
    )
    return [
        Shown(
            row=row,
            title=TYPES.get(row.env_type, row.env_type),
            plan=plans.get(row.env_type),
            resources=_resources(row),
            total=sum(1 for place, _status in statuses if place == row.pk),
            troubled=sum(1 for place, status in statuses if place == row.pk and status in {"failed", "degraded"}),
            last=last.get(row.pk),
            targets=[(other.env_type, TYPES[other.env_type]) for other in rows if other.pk != row.pk],
        )
        for row in rows
    ]


def order_of(environment: Environment) -> int:
    """Return the place of an Environment in a list."""
    return list(TYPES).index(environment.env_type) if environment.env_type in TYPES else len(names.ENVIRONMENT_TYPES)


def _plans(organization: Organization) -> dict[str, Plan]:
    live = Subscription.objects.filter(organization_id=organization.pk).exclude(state=Subscription.State.CANCELED)
    slugs = dict(live.values_list("env_type", "plan"))
    found = {plan.slug: plan for plan in Plan.objects.filter(slug__in=slugs.values())}
    return {env_type: found[slug] for env_type, slug in slugs.items() if slug in found}


def _resources(environment: Environment) -> list[Resource]:
    rows, most = list(current_applications(environment.pk)), capacity_of(environment)
    if most is None and not rows:
        return []  # nothing limits it and nothing is there: there is nothing to tell
    used = used_by(map(footprint_of, rows)).as_json()
    return resources_of({"before": used, "after": used, "plan": most.as_json() if most else None})


def _may(organization: Organization, permission: str) -> bool:
    return has_role(getattr(organization, ROLES_ATTRIBUTE), permission)
