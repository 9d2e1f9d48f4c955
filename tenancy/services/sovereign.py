"""Whose deployment this is: said once, at set-up."""

from collections.abc import Sequence
from decimal import Decimal
from http import HTTPStatus

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from catalyst.core.database import violated_constraint
from catalyst.core.errors import DomainError
from tenancy.models import Sovereign, User
from tenancy.services.audit import SOVEREIGN_STREAM, append_audit


class SovereignExists(DomainError):
    code = "sovereign_exists"
    status = HTTPStatus.CONFLICT


def setup_sovereign(
    *,
    name: str,
    domain: str,
    actor: User | str,
    name_ar: str = "",
    currency: str = "OMR",
    languages: Sequence[str] = ("en", "ar"),
    time_zone: str = "Asia/Muscat",
    order_prefix: str = "OMN",
    vat_percent: Decimal = Decimal(5),
    support_email: str = "",
    is_sandbox: bool = False,
) -> Sovereign:
    """Write the Sovereign's one row.

    :raises SovereignExists: it stands already; afterwards it is edited in the admin.
    """
    row = Sovereign(
        pk=1,
        name=name,
        name_ar=name_ar,
        domain=domain,
        currency_id=currency,
        languages=list(languages),
        time_zone=time_zone,
        order_prefix=order_prefix,
        vat_percent=vat_percent,
        support_email=support_email,
        is_sandbox=is_sandbox,
    )
    try:
        return _insert(row, actor=actor)
    except IntegrityError as error:
        if violated_constraint(error) == "tenancy_sovereign_pkey":
            raise SovereignExists(_("This deployment is set up already.")) from None
        raise


@transaction.atomic(durable=True)
def _insert(sovereign: Sovereign, *, actor: User | str) -> Sovereign:
    sovereign.save(force_insert=True)
    append_audit(
        stream=SOVEREIGN_STREAM,
        actor=actor,
        action="sovereign.set_up",
        target="sovereign",
        detail={"name": sovereign.name, "domain": sovereign.domain, "currency": sovereign.currency_id},
    )
    return sovereign
