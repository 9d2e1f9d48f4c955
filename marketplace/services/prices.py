"""List prices: a change is a new version from a moment on, never an edit."""

from datetime import datetime
from http import HTTPStatus

from django.db import transaction
from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError
from catalyst.core.models import Currency
from marketplace.models import Price
from tenancy.models import User


class PriceRefused(DomainError):
    code = "price_refused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


@transaction.atomic(durable=True)
def set_price(
    *, kind: str, reference: str, currency: str, amount_minor: int, valid_from: datetime, now: datetime, actor: User
) -> Price:
    """Add a version of one monthly list price (minor units, VAT included).

    Accepted quotes and running periods keep the price they were made with.

    :raises PriceRefused: the processor cannot bill the amount, the moment has passed, or a version starts then already.
    """
    if valid_from < now:
        raise PriceRefused(_("A price starts now or later, never in the past."), pointer="valid_from")
    check_amount(amount_minor=amount_minor, currency=currency)
    price, is_new = Price.objects.get_or_create(
        kind=kind,
        reference=reference,
        currency_id=currency,
        valid_from=valid_from,
        defaults={"amount_minor": amount_minor, "set_by": actor},
    )
    if not is_new and price.amount_minor != amount_minor:
        raise PriceRefused(_("Another price starts at the same moment."), pointer="valid_from")
    return price


def check_amount(*, amount_minor: int, currency: str) -> None:
    """Refuse what the card processor cannot bill: the step and the floor are rows of the currency table.

    :raises PriceRefused: negative, not a multiple of the step, or below the floor (0 is free).
    """
    row = Currency.objects.filter(code=currency).first()
    if row is None:
        raise PriceRefused(_("Unknown currency."), pointer="currency")
    if amount_minor == 0:
        return
    if amount_minor < row.psp_min_minor or amount_minor % row.psp_step:
        limits = {"step": row.psp_step, "low": row.psp_min_minor}
        raise PriceRefused(_("Write 0, or a multiple of %(step)d from %(low)d on.") % limits, pointer="amount_minor")
