"""The console of one Organization: its Applications, and its money."""

from dataclasses import dataclass
from typing import Any, cast

import structlog
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from billing.models import LedgerEntry
from billing.selectors.ledger import get_balance, list_entries
from billing.selectors.order_progress import last_sequence
from billing.selectors.orders import list_orders
from billing.views.panels import load_panels, show_panels
from billing.views.subscription_offer import panels_of
from marketplace.models import ApplicationStatus
from marketplace.selectors.application_state import Seen, see_applications
from marketplace.selectors.installed import is_suspended
from marketplace.selectors.upgrades import UpgradeNotice, available_upgrades
from tenancy.models import Environment, Organization, User
from tenancy.selectors.organization_state import check_active
from tenancy.selectors.organizations import ROLES_ATTRIBUTE, organizations_of, visible_env_types
from tenancy.selectors.permissions import has_role
from tenancy.selectors.sovereign import get_sovereign

_ENTRIES_PER_PAGE = 20
_MOST_ORDERS = 20
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Group:
    """Cards under one heading; ``is_services`` are what the Applications brought along."""

    is_services: bool
    rows: list["Shown"]


@dataclass(frozen=True, slots=True)
class Shown:
    """One card: what the projection knows, and what is newer where the Application stands on ``main``.

    ``seen`` says how its status looks now. ``by_hand``: a person paused it, not the end of a payment.
    """

    app: ApplicationStatus
    seen: Seen
    by_hand: bool
    notice: UpgradeNotice | None


@never_cache
@require_safe
@login_required
def applications(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the Organization's Applications as the projection knows them."""
    organization = find_organization(request, slug)
    context = shell(request, organization, "applications")
    if not context["sees_apps"]:
        return render(request, "console/refused.html", context, status=403)
    panels = load_panels({"applications": lambda: _applications(request, organization)})
    found: list[tuple[ApplicationStatus, Seen, bool]] = panels.pop("applications", [])
    rows = [row for row, _seen, _by_hand in found]
    # Asked second, about those that were found.
    more = load_panels({"notices": lambda: _notices(organization, rows)})
    context |= {**panels, **more, "broken": [*panels["broken"], *more["broken"]]}
    notices = context.get("notices", {})
    cards = [Shown(*each, notices.get((each[0].environment_id, each[0].application))) for each in found]
    groups = [
        Group(is_services, [card for card in cards if card.app.is_service is is_services])
        for is_services in (False, True)
    ]
    context |= {
        "groups": [group for group in groups if group.rows],
        "is_working": any(row.status in ApplicationStatus.AT_WORK for row in rows),
        "updates": sorted({card.app.env_type for card in cards if card.notice and card.notice.newest}),
    }
    return show_panels(request, "console/applications.html", context)


@never_cache
@require_safe
@login_required
def billing(request: HttpRequest, slug: str) -> HttpResponse:
    """Show balance, Plan, orders and the credit ledger, newest first."""
    organization = find_organization(request, slug)
    context = shell(request, organization, "billing")
    if not context["sees_money"]:
        return render(request, "console/refused.html", context, status=403)
    currency = str(get_sovereign().currency_id)
    context |= {
        "currency": currency,
        **load_panels(
            {
                "balance": lambda: get_balance(organization, currency=currency),
                "panels": lambda: panels_of(organization),
                "orders": lambda: list(list_orders(organization).order_by("-id")[:_MOST_ORDERS]),
                "ledger": lambda: _entries(request, organization),
            }
        ),
    }
    context["several"] = len(context.get("panels", ())) > 1
    return show_panels(request, "console/billing.html", context)


def find_organization(request: HttpRequest, slug: str, *, stays_open: bool = False) -> Organization:
    """Return one of the reader's own Organizations; a foreign one looks like a missing one.

    ``stays_open``: what this page takes is taken while the Organization is being deleted, too.

    :raises OrganizationSuspended, OrganizationDeleting: the reader would change something, and nothing changes now.
    """
    organization = get_object_or_404(organizations_of(cast(User, request.user)), slug=slug)
    if request.method not in _SAFE and not stays_open:
        check_active(organization)
    return organization


def shell(request: HttpRequest, organization: Organization, page: str) -> dict[str, Any]:
    """Return what the frame of every console page shows, and what the reader may do there."""
    roles = getattr(organization, ROLES_ATTRIBUTE)
    others = organizations_of(cast(User, request.user)).exclude(pk=organization.pk).order_by("name")
    return {
        "organization": organization,
        "others": list(others),
        "page": page,
        "sees_apps": has_role(roles, "application.view"),
        "changes_apps": has_role(roles, "change.apply"),
        "sees_jobs": has_role(roles, "job.view"),
        "sees_domains": has_role(roles, "domain.view"),
        "deletes": has_role(roles, "organization.delete"),
        "lifts": has_role(roles, "delete_protection.lift"),
        "exports_audit": has_role(roles, "audit.export"),
        "sees_money": has_role(roles, "billing.view"),
        "redeems": has_role(roles, "voucher.redeem"),
        "buys": has_role(roles, "checkout.create"),
        "changes_plan": has_role(roles, "subscription.change"),
        "edits_billing": has_role(roles, "billing.edit"),
        # Read before the page's rows: its live part begins here, so that no event falls between.
        "live_after": last_sequence(),
        "reference": str(structlog.contextvars.get_contextvars().get("request_id", "")),
    }


def _applications(request: HttpRequest, organization: Organization) -> list[tuple[ApplicationStatus, Seen, bool]]:
    """Return each Application with how it looks now, and whether a person paused it."""
    rows = ApplicationStatus.objects.filter(organization_id=organization.pk)
    env_types = visible_env_types(request.user, organization)
    if env_types is not None:
        rows = rows.filter(env_type__in=sorted(env_types))
    found = list(rows.order_by("application"))
    now = timezone.now()
    seen = see_applications(found, now=now)
    paused = {row.environment_id for row in found if row.status == ApplicationStatus.Status.PAUSED}
    resting = {place for place in paused if is_suspended(place)}
    return [
        (row, each, row.environment_id in paused - resting and row.status == ApplicationStatus.Status.PAUSED)
        for row, each in zip(found, seen, strict=True)
    ]


def _notices(organization: Organization, rows: list[ApplicationStatus]) -> dict[tuple[int, str], UpgradeNotice]:
    """Return what is newer than what runs, by Environment and name."""
    shown = {row.environment_id for row in rows}
    environments = Environment.objects.filter(organization=organization, pk__in=shown).select_related("organization")
    return {
        (environment.pk, notice.application): notice
        for environment in environments
        for notice in available_upgrades(environment, now=timezone.now())
    }


def _entries(request: HttpRequest, organization: Organization) -> dict[str, Any]:
    """Return one page of the ledger; ``older`` is where the next one begins."""
    before = request.GET.get("before", "")
    entries = list_entries(organization).order_by("-seq")
    is_later = before.isascii() and before.isdigit() and len(before) < 19
    if is_later:
        entries = entries.filter(seq__lt=int(before))
    rows: list[LedgerEntry] = list(entries[: _ENTRIES_PER_PAGE + 1])
    older = rows[_ENTRIES_PER_PAGE - 1].seq if len(rows) > _ENTRIES_PER_PAGE else None
    return {"entries": rows[:_ENTRIES_PER_PAGE], "older": older, "is_later": is_later}
