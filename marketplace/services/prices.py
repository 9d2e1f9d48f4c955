"""List prices: a change is a new version from a moment on, never an edit."""

from datetime import datetime
from http import HTTPStatus

from django.db import transaction
from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError
from catalyst.core.models import Currency
from marketplace.models import AddOn, Blueprint, Plan, Price
from tenancy.models import User


class PriceRefused(DomainError):
    """Not a price that can stand in the list; ``pointer`` names the part."""

    code = "price_refused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


@transaction.atomic(durable=True)
def set_price(
    *, kind: str, reference: str, currency: str, amount_minor: int, valid_from: datetime, now: datetime, actor: User
) -> Price:
    """Add a version of one monthly list price (minor units, VAT included).

    Accepted quotes and running periods keep the price they were made with.

    :raises PriceRefused: see ``check_price``.
    """
    price = Price(
        kind=kind,
        reference=reference,
        currency_id=currency,
        amount_minor=amount_minor,
        valid_from=valid_from,
        set_by=actor,
    )
    check_price(price, now=now)
    price.save()
    return price


def check_price(price: Price, *, now: datetime) -> None:
    """Check a price that is not saved yet.

    :raises PriceRefused: nothing of this kind has that reference, the processor cannot bill the amount (0 is free),
        the moment has passed, or another version starts at the same moment.
    """
    if not _is_known(price.kind, price.reference):
        raise PriceRefused(_("There is no such thing to price."), pointer="/reference")
    currency = Currency.objects.filter(code=price.currency_id).first()
    if currency is None:
        raise PriceRefused(_("Unknown currency."), pointer="/currency")
    is_billable = price.amount_minor >= currency.psp_min_minor and price.amount_minor % currency.psp_step == 0
    if price.amount_minor != 0 and not is_billable:
        limits = {"step": currency.psp_step, "low": currency.psp_min_minor}
        message = _("Write 0, or a multiple of %(step)d from %(low)d on.") % limits
        raise PriceRefused(message, pointer="/amount_minor")
    if price.valid_from < now:
        raise PriceRefused(_("A price starts now or later, never in the past."), pointer="/valid_from")
    same = Price.objects.filter(kind=price.kind, reference=price.reference, currency=currency)
    if same.filter(valid_from=price.valid_from).exists():
        raise PriceRefused(_("Another price starts at the same moment."), pointer="/valid_from")


def _is_known(kind: str, reference: str) -> bool:
    if kind == Price.Kind.BLUEPRINT:
        return Blueprint.objects.filter(name=reference).exclude(kind=Blueprint.Kind.SERVICE).exists()
    model = {Price.Kind.PLAN: Plan, Price.Kind.ADDON: AddOn}.get(Price.Kind(kind)) if kind in Price.Kind else None
    return model is not None and model._default_manager.filter(slug=reference).exists()
