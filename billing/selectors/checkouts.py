"""Checkouts as their Organization sees them."""

from uuid import UUID

from django.utils.translation import gettext as _

from billing.models import Checkout
from catalyst.core.errors import NotFound
from tenancy.models import Organization


def get_checkout(organization: Organization, checkout_id: UUID) -> Checkout:
    """Return one checkout with its order.

    :raises NotFound: the Organization has no such checkout.
    """
    mine = Checkout.objects.filter(organization_id=organization.pk)
    checkout = mine.select_related("order").filter(pk=checkout_id).first()
    if checkout is None:
        raise NotFound(_("Not found."))
    return checkout


def find_open_checkout(organization: Organization, *, env_type: str) -> Checkout | None:
    """Return the attempt to buy for one Environment that is not over yet; there is one at most."""
    closed = ["completed", "compensated", "lapsed", "late_payment", "refunding", "refunded"]
    mine = Checkout.objects.select_related("order").filter(organization_id=organization.pk, env_type=env_type)
    return mine.exclude(state__in=closed).first()
