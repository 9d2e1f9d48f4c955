"""The rules under which an Environment may change: to read, and a form in plain words for whoever sets them."""

from http import HTTPStatus
from typing import Any, cast

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
from catalyst.core.errors import DomainError, PermissionRefused
from marketplace.forms.policy import PolicyForm
from marketplace.models import EnvironmentPolicy
from marketplace.services.policies import get_policy, read_rules, source_names
from marketplace.services.policy_edits import can_edit_policy, check_policy_editor, preview_policy, save_policy
from marketplace.services.policy_rules import PolicyRuleRefused
from marketplace.services.policy_words import describe_rule
from tenancy.models import Environment, User
from tenancy.selectors.organizations import ROLES_ATTRIBUTE
from tenancy.selectors.permissions import has_role


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def policy(request: HttpRequest, slug: str, env_type: str) -> HttpResponse:
    """Show the rules; take new ones from whoever may set them, or show first what they mean for what waits."""
    organization = find_organization(request, slug)
    context = shell(request, organization, "applications")
    if not has_role(getattr(organization, ROLES_ATTRIBUTE), "environment.view"):
        return render(request, "console/refused.html", context, status=HTTPStatus.FORBIDDEN)
    environment = find_environment(request, organization, env_type)
    context |= {"environment": environment}
    if request.method == "POST":
        return _take(request, environment, context)
    return show_panels(request, "console/policy.html", context | _shown(request, environment))


def _take(request: HttpRequest, environment: Environment, context: dict[str, Any]) -> HttpResponse:
    person = cast(User, request.user)
    check_policy_editor(environment, person)
    form = PolicyForm(request.POST, sources=source_names(environment))
    if form.is_valid():
        rules, now = form.rules(), timezone.now()
        try:
            affected = preview_policy(environment, rules, now=now)
            if "preview" in request.POST:
                context |= {"affected": affected, "is_previewed": True}
            else:
                version = form.cleaned_data["version"]
                save_policy(environment=environment, rules=rules, actor=person, now=now, version=version)
                messages.success(request, _("The rules are saved. What waits is judged by them at once."))
                return see_other(reverse("console-policy", args=[environment.organization.slug, environment.env_type]))
        except PermissionRefused:
            raise
        except DomainError as error:
            form.add_refusal(error)
    context |= _shown(request, environment) | {"form": form}
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    return render(request, "console/policy.html", context, status=status)


def _shown(request: HttpRequest, environment: Environment) -> dict[str, Any]:
    panels = load_panels({"policy": lambda: _panel(request, environment)})
    return panels | {"form": panels["policy"]["form"] if "policy" in panels else None}


def _panel(request: HttpRequest, environment: Environment) -> dict[str, Any]:
    """Return the rules as sentences, none where nobody can read them, and the form for whoever sets them."""
    found = get_policy(environment)
    try:
        sentences = [describe_rule(rule, now=timezone.now()) for rule in read_rules(environment, _rules(found))]
    except PolicyRuleRefused:
        sentences = None
    form = None
    if can_edit_policy(environment, cast(User, request.user), found):
        version = found.version if found else 0
        form = PolicyForm(sources=source_names(environment), rules=_rules(found), version=version)
    return {"row": found, "sentences": sentences, "is_readable": sentences is not None, "form": form}


def _rules(policy: EnvironmentPolicy | None) -> Any:
    return policy.rules if policy else []
