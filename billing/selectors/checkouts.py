"""Checkouts as their Organization sees them."""

from uuid import UUID

from django.utils.translation import gettext as _

from billing.models import Checkout
from catalyst.core.errors import NotFound
from catalyst.core.models import IdempotencyKey
from tenancy.models import Organization, User


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


def find_bought(person: User, key: str) -> Checkout | None:
    """Return the completed checkout that this person started with this key: the same button pressed again."""
    keys = IdempotencyKey.objects.filter(key=key, scope__endswith=f":user:{person.pk}", subject__startswith="checkout:")
    stored = keys.first() if key else None
    if stored is None:
        return None
    done = Checkout.objects.select_related("order").filter(state=Checkout.State.COMPLETED)
    return done.filter(pk=stored.subject.removeprefix("checkout:")).first()
