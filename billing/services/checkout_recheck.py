"""Look at a payment again because a person asks: the only way out of review."""

from datetime import datetime
from uuid import UUID

from billing.models import Checkout
from billing.services.checkout_observe import observe
from billing.services.psp import get_processor
from catalyst.core.database import use_case
from tenancy.models import User
from tenancy.services.audit import actor_name, append_audit


def recheck_checkout(*, checkout_id: UUID, actor: User, now: datetime) -> Checkout:
    """Ask the processor and follow its answer; return the checkout as it stands then.

    One that was never handed over has no session to ask about and stays as it is.

    :raises ProcessorNotConfigured, ProcessorUnavailable: the processor cannot be asked; nothing changed.
    """
    checkout = Checkout.objects.select_related("order").get(pk=checkout_id)
    _record(checkout=checkout, actor=actor)
    observe(processor=get_processor(), checkout=checkout, actor=actor_name(actor), now=now, in_review=True)
    checkout.refresh_from_db()
    return checkout


@use_case
def _record(*, checkout: Checkout, actor: User) -> None:
    append_audit(
        stream=f"organization:{checkout.organization_id}",
        actor=actor,
        action="checkout.rechecked",
        target=f"checkout:{checkout.pk}",
        detail={"state": checkout.state},
    )
