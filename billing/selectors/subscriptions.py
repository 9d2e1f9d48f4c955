"""The right to a Plan, per Environment."""

from django.utils.translation import gettext as _

from billing.models import Subscription
from catalyst.core.errors import NotFound
from tenancy.models import Organization


def get_subscription(organization: Organization, *, env_type: str) -> Subscription:
    """Return the live subscription of one Environment with its order.

    :raises NotFound: the Environment has none.
    """
    live = Subscription.objects.filter(organization_id=organization.pk, env_type=env_type).exclude(
        state=Subscription.State.CANCELED
    )
    subscription = live.select_related("order").first()
    if subscription is None:
        raise NotFound(_("Not found."))
    return subscription
