"""One order: confirmation, live progress, what was bought."""

from http import HTTPStatus
from typing import cast
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from billing.models import Order
from billing.selectors.order_progress import last_sequence, order_progress
from billing.selectors.orders import details_of, list_all_orders
from catalyst.core.errors import NotFound
from tenancy.models import Organization, User
from tenancy.selectors.organizations import ROLES_ATTRIBUTE, organizations_of
from tenancy.selectors.permissions import has_role
from tenancy.selectors.sovereign import get_sovereign


@never_cache
@require_safe
@login_required
def order_page(request: HttpRequest, number: str) -> HttpResponse:
    """Show an order of the person's own Organizations; htmx gets the timeline alone.

    :raises NotFound: there is none of this number, or it is not theirs: both look the same.
    """
    # Read before the rows: the live view starts here, so that no event falls between.
    sequence = last_sequence()
    order, organization = _find(cast(User, request.user), number)
    progress = order_progress(order)
    context = {
        "order": details_of(order),
        "monthly_minor": order.monthly_minor,
        "organization": organization,
        "progress": progress,
        "sovereign": get_sovereign(),
    }
    if request.headers.get("HX-Request") == "true":
        return render(request, "billing/timeline.html", context, status=HTTPStatus.OK)
    roles = getattr(organization, ROLES_ATTRIBUTE)
    context |= {
        "sees_money": has_role(roles, "billing.view"),
        "sees_apps": has_role(roles, "application.view"),
        "stream": _stream(organization, number, sequence),
        "clone_address": _clone_address(organization, progress.environment),
    }
    return render(request, "billing/order.html", context)


def _find(person: User, number: str) -> tuple[Order, Organization]:
    mine = {row.pk: row for row in organizations_of(person)}
    order = list_all_orders().filter(number=number, organization_id__in=list(mine)).first()
    if order is None:
        raise NotFound(_("Not found."))
    organization = mine[order.organization_id]
    roles = getattr(organization, ROLES_ATTRIBUTE)
    if not has_role(roles, "billing.view") and not has_role(roles, "application.view"):
        raise NotFound(_("Not found."))
    return order, organization


def _stream(organization: Organization, number: str, sequence: int) -> str:
    query = urlencode({"view": f"order:{number}", "after": sequence})
    return f"/events/organizations/{organization.slug}/?{query}"


def _clone_address(organization: Organization, environment: str) -> str:
    if not environment:
        return ""
    public_url: str = settings.PUBLIC_URL
    return f"{public_url}/git/{organization.slug}/{environment}.git"
