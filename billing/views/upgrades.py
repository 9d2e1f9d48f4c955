"""The upgrades of one Environment in the console: what there is, security first, and several moved by one Change.

Everything works without scripts: choosing is a GET, doing is a POST.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from billing.views.applications import find_environment, taken_by
from billing.views.asked_changes import look_at_change
from billing.views.carts import see_other
from billing.views.console import find_organization, shell
from billing.views.panels import load_panels
from catalyst.core import idempotency
from catalyst.core.errors import DomainError
from marketplace.selectors.installed import is_change_waiting
from marketplace.selectors.upgrades import FEATURE, FIX, SECURITY, UpgradeNotice, available_upgrades
from marketplace.services.edits import PreviewRequired
from marketplace.services.edits_preview import preview
from marketplace.services.planner_request import ChangeRequest
from marketplace.services.upgrades import Mode, plan_upgrade
from tenancy.models import Environment, User

_URGENCY = {SECURITY: 0, FEATURE: 1, FIX: 2}
#: As many Applications as an Environment may hold.
_MOST = 100


class NothingChosen(DomainError):
    """No Application was marked."""

    code = "nothing_chosen"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was chosen: these Applications, or with ``is_all`` everything to the newest version that it may have."""

    names: tuple[str, ...] = ()
    is_all: bool = False
    is_asked: bool = False

    @classmethod
    def read(cls, sent: QueryDict) -> "Wanted":
        names = tuple(dict.fromkeys(name[:120] for name in sent.getlist("app")[:_MOST]))
        return cls(names=names, is_all=sent.get("which") == "all", is_asked="which" in sent)

    @property
    def mode(self) -> Mode:
        return Mode.LATEST if self.is_all else Mode.MINIMAL

    def ranges(self) -> Mapping[str, str]:
        """Return the Applications with the ranges that they have; none at all means every one.

        :raises NothingChosen: nothing was marked.
        """
        if self.is_all:
            return {}
        if not self.names:
            raise NothingChosen(_("Mark at least one application."))
        return dict.fromkeys(self.names, "")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def upgrades(request: HttpRequest, slug: str, env_type: str) -> HttpResponse:
    """List what can be upgraded, say what the chosen upgrades move, why, and what it takes; then do it."""
    organization = find_organization(request, slug)
    context = shell(request, organization, "applications")
    if not context["sees_apps"] or not context["changes_apps"]:
        return render(request, "console/refused.html", context, status=HTTPStatus.FORBIDDEN)
    environment = find_environment(request, organization, env_type)
    context["environment"] = environment
    if request.method != "POST":
        return _page(request, context, Wanted.read(request.GET))
    wanted = Wanted.read(request.POST)
    try:
        _upgrade(request, environment, wanted)
    except PreviewRequired:
        asked = ChangeRequest(upgrade=wanted.ranges() or _everything(environment))
        return look_at_change(request, environment, asked, back=request.path)
    except DomainError as error:
        return _page(request, context, wanted, refusal=error)
    messages.success(request, _("The upgrade has begun. You see here when it is done."))
    return see_other(reverse("console-applications", args=[slug]))


def _everything(environment: Environment) -> Mapping[str, str]:
    """Return what has a newer version, each with the range that it has."""
    notices = available_upgrades(environment, now=timezone.now())
    return {each.application: "" for each in notices if each.newest}


def _upgrade(request: HttpRequest, environment: Environment, wanted: Wanted) -> None:
    plan_upgrade(
        environment=environment,
        applications=wanted.ranges(),
        mode=wanted.mode,
        actor=cast(User, request.user),
        now=timezone.now(),
        key=idempotency.check_key(key) if (key := request.POST.get("key")) else "",
    )


def _page(
    request: HttpRequest, context: dict[str, Any], wanted: Wanted, *, refusal: DomainError | None = None
) -> HttpResponse:
    environment = context["environment"]
    context |= load_panels({"upgrades": lambda: _listed(environment)})
    shown = None
    if wanted.is_asked and not context["broken"]:
        try:
            shown = preview(environment, wanted.ranges(), wanted.mode, now=timezone.now())
        except DomainError as error:
            refusal = refusal or error
    context |= {
        "wanted": wanted,
        "preview": shown,
        "takes": taken_by(shown) if shown else [],
        "refusal": refusal,
        "key": uuid.uuid4().hex,
    }
    status = HTTPStatus.SERVICE_UNAVAILABLE if context["broken"] else refusal.status if refusal else HTTPStatus.OK
    return render(request, "console/upgrades.html", context, status=status)


def _listed(environment: Environment) -> dict[str, Any]:
    """Return what can be had, the most urgent first, and of what cannot be had why."""
    notices = available_upgrades(environment, now=timezone.now())
    had = [each for each in notices if each.newest]
    had.sort(key=_urgency)
    return {
        "had": had,
        "blocked": [each for each in notices if each.blocked],
        "is_waiting": is_change_waiting(environment.pk),
    }


def _urgency(notice: UpgradeNotice) -> tuple[int, str]:
    return _URGENCY[notice.kind], notice.application
