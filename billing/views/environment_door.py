"""The door of every page of one Environment in the console."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache

from billing.views.applications import find_environment
from billing.views.console import find_organization, shell
from billing.views.panels import show_panels
from tenancy.models import Environment, Organization, User
from tenancy.selectors.organizations import ROLES_ATTRIBUTE
from tenancy.selectors.permissions import has_role


@dataclass(frozen=True, slots=True)
class EnvironmentVisit:
    """One reader at one Environment, with what every page of it shows."""

    request: HttpRequest
    organization: Organization
    environment: Environment
    context: dict[str, Any]

    @property
    def person(self) -> User:
        return cast(User, self.request.user)

    def may(self, permission: str) -> bool:
        return has_role(getattr(self.organization, ROLES_ATTRIBUTE), permission)

    def address(self, name: str, *more: Any) -> str:
        return reverse(name, args=[self.organization.slug, self.environment.env_type, *more])

    def show(self, page: str, status: int = HTTPStatus.OK, **context: Any) -> HttpResponse:
        return render(self.request, f"console/{page}.html", {"broken": [], **self.context, **context}, status=status)

    def show_panels(self, page: str, **context: Any) -> HttpResponse:
        return show_panels(self.request, f"console/{page}.html", {**self.context, **context})

    def refuse(self) -> HttpResponse:
        return self.show("refused", HTTPStatus.FORBIDDEN)


Page = Callable[..., HttpResponse]


def of_environment(right: str, *, page: str = "environments") -> Callable[[Page], Callable[..., HttpResponse]]:
    """Find the Environment for a page, from the reader's own Organization; ``right`` stands in the permissions table.

    Whoever may not gets the refusal, whoever belongs elsewhere what a missing page shows.
    """

    def door(show: Page) -> Callable[..., HttpResponse]:
        @never_cache
        @login_required
        def view(request: HttpRequest, slug: str, env_type: str, **more: Any) -> HttpResponse:
            organization = find_organization(request, slug)
            context = shell(request, organization, page)
            if not has_role(getattr(organization, ROLES_ATTRIBUTE), right):
                return render(request, "console/refused.html", context, status=HTTPStatus.FORBIDDEN)
            environment = find_environment(request, organization, env_type)
            context |= {"environment": environment}
            return show(EnvironmentVisit(request, organization, environment, context), **more)

        return view

    return door
