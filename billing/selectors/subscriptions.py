"""The right to a Plan, per Environment."""

from django.utils.translation import gettext as _

from billing.models import PspCall, Subscription
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


def is_moving_to_card(subscription: Subscription) -> bool:
    """Answer whether the processor was asked to bill it from now on and the answer is not known yet.

    Until then its credit pays nothing: the card may have paid the period already.
    """
    if subscription.psp_subscription_id:
        return False
    asked = PspCall.objects.undecided().filter(
        op="subscription.create", params__metadata__subscription=str(subscription.pk)
    )
    return asked.filter(organization_id=subscription.organization_id).exists()
