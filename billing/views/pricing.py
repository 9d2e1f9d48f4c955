"""What the Cart costs now, for every page that says so: a quote, or the refusal that stands in its way."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from dateutil.relativedelta import relativedelta
from django.http import HttpRequest
from django.utils import timezone

from billing.models import Cart
from billing.services.cart_checkout import selection_of
from billing.services.carts import voucher_code_of
from billing.services.checkout_types import Quote
from billing.services.quotes import quote_selection
from billing.views.shopping import buying_organization
from billing.views.voucher_words import REFUSALS, Said, guesser_of, words_for
from catalyst.core.errors import DomainError
from catalyst.core.money import included_vat
from marketplace.selectors.capacity import Footprint
from marketplace.selectors.selection import CapacityExceeded, PricedSelection
from tenancy.selectors.sovereign import get_sovereign


@dataclass(frozen=True, slots=True)
class Sums:
    """``quote`` is None while there is no Plan, or when ``refusal`` says why it cannot be bought."""

    currency: str
    renews_on: date
    quote: Quote | None = None
    priced: PricedSelection | None = None
    refusal: DomainError | None = None
    voucher: Said | None = None
    vat_minor: int = 0
    vat_percent: str = ""

    @property
    def percent_used(self) -> int | None:
        """How full the Plan is, in percent; None when that is not known."""
        if self.priced is not None:
            return self.priced.used.percent_of(self.priced.capacity)
        if isinstance(self.refusal, CapacityExceeded):
            used, capacity = (Footprint(**self.refusal.extra[key]) for key in ("used", "capacity"))
            return used.percent_of(capacity)
        return None

    @property
    def credit_minor(self) -> int:
        """The credit that is used, as the negative line it is in the sum."""
        return -self.quote.split.credit_minor if self.quote else 0

    @property
    def services(self) -> list[str]:
        """What the chosen Applications bring along, for the line "Comes with"."""
        entries = self.priced.lock.entries if self.priced else ()
        return sorted({entry.candidate.blueprint.removeprefix("bp-") for entry in entries if entry.requested_by})

    @property
    def smallest_plan(self) -> str:
        """The Plan that would hold the selection, when the chosen one does not."""
        return str(self.refusal.extra.get("smallest_plan") or "") if self.refusal else ""


def price_cart(request: HttpRequest, cart: Cart, *, with_voucher: bool = True) -> Sums:
    """Return the sums of the Cart; a code that does not work is left out and explained."""
    sovereign, now = get_sovereign(), timezone.now()
    renews_on = (timezone.localtime(now) + relativedelta(months=1)).date()
    known: dict[str, Any] = {"currency": str(sovereign.currency_id), "renews_on": renews_on}
    if not cart.plan:
        return Sums(**known)
    organization = buying_organization(request, cart)
    code = voucher_code_of(cart) if with_voucher else ""
    said: Said | None = None
    for attempt in [code, ""] if code else [""]:
        try:
            quote, priced = quote_selection(
                organization=organization,
                sovereign=sovereign,
                selection=selection_of(cart),
                voucher_code=attempt,
                guesser=guesser_of(request, organization),
                now=now,
                cart_id=cart.pk,
                env_type=cart.env_type,
            )
        except REFUSALS as error:
            said = words_for(error, code=code, organization=organization)
        except DomainError as error:
            return Sums(**known, refusal=error)
        else:
            vat = included_vat(quote.total_minor, sovereign.vat_percent)
            percent = f"{sovereign.vat_percent.normalize():f}"
            return Sums(**known, quote=quote, priced=priced, voucher=said, vat_minor=vat, vat_percent=percent)
    return Sums(**known, voucher=said)
