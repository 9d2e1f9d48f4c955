"""A subscription in the console: end it with its period, keep it, take a change back.

``of_subscription`` is the door of every page of one subscription. Every form works without scripts.
"""

from collections.abc import Callable
from dataclasses import dataclass
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
from django.views.decorators.http import require_http_methods, require_POST

from billing.models import Subscription
from billing.selectors.subscriptions import get_subscription
from billing.services.change_items import bought_applications
from billing.services.checkout_types import AlreadyPaid
from billing.services.subscription_changes import drop_change
from billing.services.subscriptions import cancel_subscription, resume_subscription
from billing.views.carts import see_other
from billing.views.console import find_organization, shell
from catalyst.core.errors import DomainError
from tenancy.models import Organization, User


@dataclass(frozen=True, slots=True)
class Visit:
    """One reader at one subscription, with what every page of it shows."""

    request: HttpRequest
    organization: Organization
    subscription: Subscription
    context: dict[str, Any]

    @property
    def person(self) -> User:
        return cast(User, self.request.user)

    def billing_page(self) -> HttpResponse:
        return see_other(reverse("console-billing", args=[self.organization.slug]))

    def show(self, page: str, status: int = HTTPStatus.OK, **context: Any) -> HttpResponse:
        return render(self.request, f"console/{page}.html", {**self.context, **context}, status=status)


Page = Callable[[Visit], HttpResponse]


def of_subscription(page: Page) -> Callable[[HttpRequest, str, str], HttpResponse]:
    """Find the subscription for a page, from the reader's own Organization, and refuse whoever may not change it."""

    @never_cache
    @login_required
    def view(request: HttpRequest, slug: str, env_type: str) -> HttpResponse:
        organization = find_organization(request, slug)
        context = shell(request, organization, "billing")
        if not context["changes_plan"]:
            return render(request, "console/refused.html", context, status=HTTPStatus.FORBIDDEN)
        subscription = get_subscription(organization, env_type=env_type)
        context |= {"subscription": subscription, "currency": subscription.currency_id}
        return page(Visit(request, organization, subscription, context))

    return view


@require_http_methods(["GET", "HEAD", "POST"])
@of_subscription
def cancel(visit: Visit) -> HttpResponse:
    """Say what stops and when, and ask; then end the subscription with its period."""
    if visit.request.method != "POST":
        return visit.show("billing_cancel", applications=sorted(bought_applications(visit.subscription)))
    return _then(visit, _end, _("Your subscription ends with its period. Until then you can keep it."))


@require_POST
@of_subscription
def resume(visit: Visit) -> HttpResponse:
    """Keep a subscription that was to end."""
    return _then(visit, _keep, _("Your subscription goes on."))


@require_POST
@of_subscription
def drop(visit: Visit) -> HttpResponse:
    """Take back the change that waits."""
    return _then(visit, _drop, _("The change was taken back. Everything stays as it is."))


def _then(visit: Visit, act: Callable[[Visit], object], done: str) -> HttpResponse:
    try:
        act(visit)
    except AlreadyPaid as error:
        messages.info(visit.request, error.message)
        return see_other(reverse("order", args=[error.extra["order"]]))
    except DomainError as error:
        messages.error(visit.request, error.message)
    else:
        messages.success(visit.request, done)
    return visit.billing_page()


def _end(visit: Visit) -> None:
    cancel_subscription(
        subscription_id=visit.subscription.pk,
        at_once=False,
        actor=visit.person,
        reason="customer",
        now=timezone.now(),
    )


def _keep(visit: Visit) -> None:
    resume_subscription(subscription_id=visit.subscription.pk, actor=visit.person, now=timezone.now())


def _drop(visit: Visit) -> None:
    drop_change(subscription=visit.subscription, actor=visit.person, now=timezone.now())
