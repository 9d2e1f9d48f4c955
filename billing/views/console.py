"""The console of one Organization: its Applications, and its money."""

from dataclasses import dataclass
from typing import Any, cast

from django.contrib.auth.decorators import login_required
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from billing.models import LedgerEntry
from billing.selectors.ledger import get_balance, list_entries
from billing.selectors.orders import list_orders
from billing.views.subscription_offer import panels_of
from marketplace.models import ApplicationStatus
from marketplace.selectors.upgrades import UpgradeNotice, available_upgrades
from tenancy.models import Environment, Organization, User
from tenancy.selectors.organizations import ROLES_ATTRIBUTE, organizations_of, visible_env_types
from tenancy.selectors.permissions import has_role
from tenancy.selectors.sovereign import get_sovereign

_ENTRIES_PER_PAGE = 20
_MOST_ORDERS = 20


@dataclass(frozen=True, slots=True)
class Group:
    """Cards under one heading; ``is_services`` are what the Applications brought along."""

    is_services: bool
    rows: list["Shown"]


@dataclass(frozen=True, slots=True)
class Shown:
    """One card: what the projection knows, and what is newer where the Application stands on ``main``."""

    app: ApplicationStatus
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
    try:
        rows = _applications(request, organization)
        notices = _notices(organization, rows)
    except (OperationalError, InterfaceError):
        return render(request, "console/applications.html", {**context, "is_broken": True}, status=503)
    cards = [Shown(row, notices.get((row.environment_id, row.application))) for row in rows]
    groups = [
        Group(is_services, [card for card in cards if card.app.is_service is is_services])
        for is_services in (False, True)
    ]
    context |= {
        "groups": [group for group in groups if group.rows],
        "is_working": any(row.status in ApplicationStatus.AT_WORK for row in rows),
    }
    return render(request, "console/applications.html", context)


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
        "balance": get_balance(organization, currency=currency),
        "panels": (panels := panels_of(organization)),
        "several": len(panels) > 1,
        "orders": list(list_orders(organization).order_by("-id")[:_MOST_ORDERS]),
        **_entries(request, organization),
    }
    return render(request, "console/billing.html", context)


def find_organization(request: HttpRequest, slug: str) -> Organization:
    """Return one of the reader's own Organizations; a foreign one looks like a missing one."""
    return get_object_or_404(organizations_of(cast(User, request.user)), slug=slug)


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
        "sees_money": has_role(roles, "billing.view"),
        "redeems": has_role(roles, "voucher.redeem"),
        "buys": has_role(roles, "checkout.create"),
        "changes_plan": has_role(roles, "subscription.change"),
        "edits_billing": has_role(roles, "billing.edit"),
    }


def _applications(request: HttpRequest, organization: Organization) -> list[ApplicationStatus]:
    rows = ApplicationStatus.objects.filter(organization_id=organization.pk)
    env_types = visible_env_types(request.user, organization)
    if env_types is not None:
        rows = rows.filter(env_type__in=sorted(env_types))
    return list(rows.order_by("application"))


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
