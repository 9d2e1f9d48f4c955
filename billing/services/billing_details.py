"""Whom an Organization's invoices name and where they are sent. What was issued before keeps what it says."""

import re
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus

from django.utils.translation import gettext as _

from billing.models import BillingDetails
from billing.services.ledger import open_account
from catalyst.core.database import use_case
from catalyst.core.errors import DomainError
from tenancy.models import Organization, User
from tenancy.selectors.sovereign import get_sovereign
from tenancy.services.audit import append_audit, organization_stream

#: How a VAT number of these countries looks behind its prefix. Source: the tax authorities of Oman (VATIN), the United
#: Arab Emirates (TRN), Saudi Arabia (VAT registration number) and Bahrain (VAT account number).
_SHAPES = {"OM": r"\d{10}", "AE": r"1\d{14}", "SA": r"3\d{13}3", "BH": r"\d{15}"}
_ELSEWHERE = r"[A-Z0-9]{2,18}"
_EXAMPLES = {"OM": "OM1100012345", "AE": "AE100123456700003", "SA": "SA300123456700003", "BH": "BH200012345600002"}
_SEPARATORS = re.compile(r"[\s.\-]+")
_LONGEST_ADDRESS = 300


class VatinInvalid(DomainError):
    code = "vatin_invalid"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class AddressTooLong(DomainError):
    code = "address_too_long"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True)
class Details:
    """What a person may enter; each may be empty: the document then takes it from the Organization."""

    name: str = ""
    address: str = ""
    vatin: str = ""
    email: str = ""


def update_billing_details(
    *, organization: Organization, details: Details, actor: User, now: datetime
) -> BillingDetails:
    """Store the details that the next documents will name.

    :raises VatinInvalid: the VAT number has not the shape of its country's.
    :raises AddressTooLong: the address has more than 300 characters.
    """
    vatin = clean_vatin(details.vatin)
    if len(details.address) > _LONGEST_ADDRESS:
        message = _("Shorten the address to %(count)d characters.") % {"count": _LONGEST_ADDRESS}
        raise AddressTooLong(message, pointer="/address")
    open_account(organization=organization, sovereign=get_sovereign())
    entered = replace(details, name=details.name.strip(), address=details.address.strip(), vatin=vatin)
    return _store(organization=organization, details=entered, actor=actor, now=now)


@use_case
def _store(*, organization: Organization, details: Details, actor: User, now: datetime) -> BillingDetails:
    row, _created = BillingDetails.objects.select_for_update().get_or_create(pk=organization.pk)
    before = Details(row.name, row.address, row.vatin, row.email)
    row.name, row.address, row.vatin, row.email = details.name, details.address, details.vatin, details.email
    row.updated_at = now
    row.save()
    append_audit(
        stream=organization_stream(organization),
        actor=actor,
        action="billing_details.changed",
        target=f"organization:{organization.slug}",
        # Addresses are personal: the trail says that they changed, not what they were.
        detail={
            "before": {"name": before.name, "vatin": before.vatin},
            "after": {"name": row.name, "vatin": row.vatin},
            "address_changed": before.address != row.address,
            "email_changed": before.email != row.email,
        },
    )
    return row


def clean_vatin(text: str, *, pointer: str = "/vatin") -> str:
    """Return a VAT number without separators, in capitals, with its country's prefix; empty stays empty.

    :raises VatinInvalid: it does not begin with a country, or has not the shape of that country's numbers.
    """
    number = _SEPARATORS.sub("", text).upper()
    if not number:
        return ""
    country = number[:2]
    shape = _SHAPES.get(country, _ELSEWHERE)
    if not re.fullmatch(rf"[A-Z]{{2}}{shape}", number, re.ASCII):
        example = _EXAMPLES.get(country, _EXAMPLES["OM"])
        message = _("Write the VAT number with its country, like %(example)s.") % {"example": example}
        raise VatinInvalid(message, pointer=pointer)
    return number
