"""What a page says about a code, state by state. Source: surfaces.md §11.4 of the design, kept in docs/vouchers.md.

Texts that tell one closed Voucher from another appear only for codes that exist; counters and caps never do.
"""

from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from billing.models import Redemption, Voucher
from billing.services.checkout_types import VoucherBusy
from billing.services.code_attempts import Guesser, TooManyTries
from billing.services.voucher_codes import has_wrong_check_character, normalize_code
from billing.services.vouchers import VoucherNotAccepting, VoucherNotFound
from billing.services.wallet import VoucherAlreadyRedeemed
from billing.views.carts import person_of
from catalyst.core.errors import DomainError, PermissionRefused
from catalyst.core.http.address import client_address
from catalyst.core.templatetags.money import money_tag
from tenancy.models import Organization

#: What a page about a code may be refused with.
REFUSALS = (VoucherNotFound, VoucherNotAccepting, VoucherBusy, VoucherAlreadyRedeemed, TooManyTries, PermissionRefused)


@dataclass(frozen=True, slots=True)
class Said:
    """One state: its status code, its sentence, and which next step the page offers."""

    status: HTTPStatus
    text: str | SafeString
    next: str = "retry"
    retry_after: int | None = None


def words_for(error: DomainError, *, code: str, organization: Organization | None = None) -> Said:
    """Return what the page says about a refused code."""
    if isinstance(error, VoucherNotFound):
        return Said(error.status, _not_found(code), "support")
    if isinstance(error, VoucherNotAccepting):
        return _closed(error)
    if isinstance(error, TooManyTries):
        return _too_many(error)
    if isinstance(error, VoucherAlreadyRedeemed):
        return Said(error.status, _used_here(code, organization, error), "ledger")
    if isinstance(error, PermissionRefused):
        return Said(error.status, _("Only a billing administrator can use vouchers here"), "ask")
    return Said(error.status, error.message, "retry", error.retry_after)


def could_not_check() -> Said:
    """Return what the page says when nobody could be asked."""
    text = _("We couldn't check it now. Your code is saved")
    return Said(HTTPStatus.SERVICE_UNAVAILABLE, text, "continue", retry_after=10)


def nothing_typed() -> Said:
    return Said(HTTPStatus.BAD_REQUEST, _("Enter your voucher code"))


def guesser_of(request: HttpRequest, organization: Organization | None = None) -> Guesser:
    """Return who is trying a code, for the limits on failed guesses."""
    person = person_of(request)
    return Guesser(
        user_id=person.pk if person else None,
        organization_id=organization.pk if organization else None,
        address=client_address(request),
    )


def _not_found(code: str) -> str:
    normal = normalize_code(code)
    if normal is not None and has_wrong_check_character(normal):
        return _("Check the code: one character looks wrong")
    return _("We can't find this code")


def _closed(error: VoucherNotAccepting) -> Said:
    voucher = error.voucher
    if error.reason == "not_yet":
        return Said(error.status, _("This voucher starts on %(date)s") % {"date": _day(voucher.starts_at)}, "support")
    if error.reason == "expired":
        date = _day(voucher.ends_at or timezone.now())
        return Said(error.status, _("This voucher expired on %(date)s") % {"date": date}, "browse")
    if error.reason == "used_up":
        return Said(error.status, _("All uses of this voucher are taken"), "browse")
    return Said(error.status, _paused(voucher), "support")


def _paused(voucher: Voucher) -> SafeString:
    amount = money_tag(voucher.grant_minor, voucher.currency_id)
    return format_html(_("This voucher ({amount}) is not accepting redemptions now"), amount=amount)


def _too_many(error: TooManyTries) -> Said:
    minutes = max(-(-(error.retry_after or 60) // 60), 1)
    text = ngettext("Too many tries. Wait %(counter)s minute", "Too many tries. Wait %(counter)s minutes", minutes) % {
        "counter": minutes
    }
    return Said(error.status, text, "support", error.retry_after)


def _used_here(code: str, organization: Organization | None, error: DomainError) -> str | SafeString:
    """Name the day and the order of the Organization's own earlier use."""
    use = _own_use(code, organization)
    if use is None or use.resolved_at is None:
        return error.message
    if use.checkout is None:
        return _("Your organization used this voucher on %(date)s") % {"date": _day(use.resolved_at)}
    return _("Your organization used this voucher on %(date)s (order %(order)s)") % {
        "date": _day(use.resolved_at),
        "order": use.checkout.order.number,
    }


def _own_use(code: str, organization: Organization | None) -> Redemption | None:
    if organization is None:
        return None
    rows = Redemption.objects.filter(organization_id=organization.pk, state=Redemption.State.REDEEMED)
    normal = normalize_code(code)
    newest = rows.select_related("voucher", "checkout__order").order_by("-id")
    return next((row for row in newest if normal and row.voucher.code_hint == normal[-4:]), None)


def _day(moment: datetime) -> str:
    return date_format(timezone.localtime(moment), "DATE_FORMAT")
