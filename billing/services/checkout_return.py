"""The shopper comes back from the card page: ask the processor once more, then say where the checkout stands."""

from datetime import datetime

from django.utils.translation import gettext as _

from billing.models import Checkout
from billing.services.checkout_observe import observe
from billing.services.psp import ProcessorNotConfigured, ProcessorRejected, ProcessorUnavailable, get_processor
from catalyst.core.errors import NotFound
from tenancy.models import User
from tenancy.selectors.organizations import organizations_of


def follow_return(*, session_id: str, user: User, now: datetime) -> Checkout:
    """Return the checkout of a card page, after the processor's answer. A silent processor changes nothing.

    :raises NotFound: no checkout of the person's Organizations has this page.
    """
    mine = Checkout.objects.filter(organization_id__in=[row.pk for row in organizations_of(user)])
    checkout = mine.select_related("order").filter(psp_session_id=session_id).first() if session_id else None
    if checkout is None:
        raise NotFound(_("Not found."))
    try:
        observe(processor=get_processor(), checkout=checkout, actor=user.email, now=now)
    except (ProcessorUnavailable, ProcessorNotConfigured, ProcessorRejected):
        # The webhook and the sweeper ask again; the page says that we are still confirming.
        return checkout
    checkout.refresh_from_db()
    return checkout
