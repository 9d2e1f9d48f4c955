"""What of money is still open, for those below who must not delete what is paid for."""

from collections.abc import Iterator
from typing import Any, Final

from django.utils.translation import gettext as _

from billing.models import Checkout, Invoice, Subscription
from marketplace.selectors.obligations import register_obligations
from tenancy.models import Organization

_OVER: Final = [
    Checkout.State.COMPLETED,
    Checkout.State.COMPENSATED,
    Checkout.State.LAPSED,
    Checkout.State.REFUNDED,
]


@register_obligations
def open_money(organization: Organization, env_type: str | None) -> Iterator[str]:
    """Say what has to be settled before an Environment (None: the whole Organization) is deleted."""
    place: dict[str, Any] = {"organization": organization.pk}
    here = place | ({"env_type": env_type} if env_type else {})
    for subscription in Subscription.objects.filter(**here).exclude(state=Subscription.State.CANCELED):
        yield _("The subscription of %(env_type)s has not ended.") % {"env_type": subscription.env_type}
    if Checkout.objects.filter(**here).exclude(state__in=_OVER).exists():
        yield _("A purchase is not finished.")
    if env_type is None and Invoice.objects.filter(**place, state=Invoice.State.OPEN).exists():
        yield _("An invoice is not paid.")
