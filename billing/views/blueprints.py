"""One of an Organization's own Blueprints in the console: its versions, where they run, and the steps to take."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from billing.views.carts import see_other
from billing.views.console import find_organization, shell
from catalyst.core.errors import DomainError, PermissionRefused
from marketplace.forms.version_steps import ReasonForm, YankForm
from marketplace.models import BlueprintVersion
from marketplace.selectors.releases import own_blueprint, own_version, releases_of
from marketplace.selectors.usage import applications_using
from marketplace.services.blueprint_versions import restore_version, retire_version, yank_version
from tenancy.models import Organization, User
from tenancy.selectors.organizations import ROLES_ATTRIBUTE, visible_env_types
from tenancy.selectors.permissions import has_role


@dataclass(frozen=True, slots=True)
class Step:
    """What a page asks before it, and the service that takes it."""

    question: Promise
    effect: Promise
    button: Promise
    done: Promise
    form: type[forms.Form]
    take: Callable[[BlueprintVersion, User, dict[str, Any]], object]


_STEPS = {
    "retire": Step(
        gettext_lazy("Retire version %(version)s?"),
        gettext_lazy("Nobody installs it anew. Where it runs it keeps running, and you can offer it again."),
        gettext_lazy("Retire"),
        gettext_lazy("Version %(version)s is not offered any more."),
        ReasonForm,
        lambda version, person, said: retire_version(version_id=version.pk, actor=person, reason=said["reason"]),
    ),
    "restore": Step(
        gettext_lazy("Offer version %(version)s again?"),
        gettext_lazy("It can be installed again."),
        gettext_lazy("Offer again"),
        gettext_lazy("Version %(version)s is offered again."),
        forms.Form,
        lambda version, person, _said: restore_version(version_id=version.pk, actor=person),
    ),
    "yank": Step(
        gettext_lazy("Withdraw version %(version)s for ever?"),
        gettext_lazy(
            "Nobody can install it any more, and it never comes back. Where it runs, people are told to upgrade."
        ),
        gettext_lazy("Withdraw"),
        gettext_lazy("Version %(version)s is withdrawn."),
        YankForm,
        lambda version, person, said: yank_version(
            version_id=version.pk,
            actor=person,
            reason=said["reason"],
            is_security=said["security"],
            now=timezone.now(),
        ),
    ),
}


@never_cache
@require_safe
@login_required
def blueprint(request: HttpRequest, slug: str, blueprint: str) -> HttpResponse:
    """Show the versions of one of the Organization's own Blueprints, and where they run."""
    organization = find_organization(request, slug)
    context = shell(request, organization, "blueprints")
    if not context["sees_apps"]:
        return render(request, "console/refused.html", context, status=HTTPStatus.FORBIDDEN)
    try:
        context |= _versions(request, organization, blueprint)
    except (InterfaceError, OperationalError):
        context |= {"slug": blueprint, "is_broken": True}
        return render(request, "console/blueprint.html", context, status=HTTPStatus.SERVICE_UNAVAILABLE)
    return render(request, "console/blueprint.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def version_step(request: HttpRequest, slug: str, blueprint: str, version: str, name: str) -> HttpResponse:
    """Ask before a step of an own version, and take it."""
    organization = find_organization(request, slug)
    step = _STEPS.get(name)
    if step is None:
        raise Http404
    if not _decides(organization):
        raise PermissionRefused(_("Your role does not allow this."))
    found = own_version(f"bp-{blueprint}", version, organization)
    form, refusal = step.form(request.POST if request.method == "POST" else None), None
    if request.method == "POST" and form.is_valid():
        try:
            step.take(found, cast(User, request.user), form.cleaned_data)
        except DomainError as error:
            refusal = error
        else:
            messages.success(request, str(step.done) % {"version": found.version})
            return see_other(reverse("console-blueprint", args=[slug, blueprint]))
    context = shell(request, organization, "blueprints") | {
        "slug": blueprint,
        "title": found.blueprint.title,
        "question": str(step.question) % {"version": found.version},
        "step": step,
        "is_danger": name == "yank",
        "form": form,
        "refusal": refusal,
        "uses": [each for each in _uses(request, organization, blueprint) if each.version == found.version],
    }
    status = refusal.status if refusal else HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    return render(request, "console/version_step.html", context, status=status)


def _versions(request: HttpRequest, organization: Organization, slug: str) -> dict[str, Any]:
    row = own_blueprint(f"bp-{slug}", organization)
    return {
        "slug": slug,
        "title": row.title,
        "releases": releases_of(row.pk),
        "decides": _decides(organization),
        "usage": [(organization, uses)] if (uses := _uses(request, organization, slug)) else [],
    }


def _uses(request: HttpRequest, organization: Organization, slug: str) -> tuple[Any, ...]:
    env_types = visible_env_types(request.user, organization)
    return applications_using(organization, f"bp-{slug}", env_types=env_types)


def _decides(organization: Organization) -> bool:
    return has_role(getattr(organization, ROLES_ATTRIBUTE), "blueprint.publish")
