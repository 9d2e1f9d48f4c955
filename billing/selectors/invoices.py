"""Invoices and credit notes as their Organization and the Sovereign's staff see them, and the parties they name.

Amounts are minor units.
"""

from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Prefetch, QuerySet
from django.utils.translation import gettext as _

from billing.models import BillingDetails, BillingSettings, CreditNote, Invoice
from catalyst.core.errors import NotFound
from tenancy.models import Membership, Organization, User
from tenancy.selectors.sovereign import get_sovereign

_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Contact:
    """Where an Organization's documents are sent, and the language that is read there."""

    email: str
    language: str


@dataclass(frozen=True, slots=True)
class ShownNote:
    """One credit note as pages list it."""

    row: CreditNote
    number: str
    total_minor: int

    @property
    def taken_back_minor(self) -> int:
        """What it takes off the invoice, below zero."""
        return -self.total_minor


@dataclass(frozen=True, slots=True)
class ShownInvoice:
    """One invoice as pages show it: its number as people write it, and what was taken back."""

    row: Invoice
    number: str
    notes: list[ShownNote]


def document_number(series: str, number: int) -> str:
    """Return the number as people write it: ``INV-2026-000045``."""
    return f"{series}-{number:0{_DIGITS}d}"


def parse_document_number(text: str) -> tuple[str, int] | None:
    """Return series and number of what ``document_number`` writes, or nothing when it is no such number."""
    series, _dash, digits = text.rpartition("-")
    if not series or len(digits) < _DIGITS or not (digits.isascii() and digits.isdigit()):
        return None
    number = int(digits)
    return (series, number) if document_number(series, number) == text else None


def list_invoices(organization: Organization) -> QuerySet[Invoice]:
    """Return the Organization's issued invoices with their credit notes; a draft is not a document yet."""
    return list_all_invoices().filter(organization_id=organization.pk, number__isnull=False)


def list_all_invoices() -> QuerySet[Invoice]:
    """Return the invoices of every Organization, for the Sovereign's staff."""
    notes = CreditNote.objects.order_by("id")
    return Invoice.objects.select_related("organization__organization", "order").prefetch_related(
        Prefetch("creditnote_set", queryset=notes)
    )


def get_invoice(organization: Organization, number: str) -> Invoice:
    """Return one issued invoice.

    :raises NotFound: the Organization has no invoice of this number.
    """
    parsed = parse_document_number(number)
    invoice = list_invoices(organization).filter(series=parsed[0], number=parsed[1]).first() if parsed else None
    if invoice is None:
        raise NotFound(_("Not found."))
    return invoice


def shown_invoice(row: Invoice) -> ShownInvoice:
    """Return what ``list_invoices`` has read, in the one form that is shown."""
    return ShownInvoice(
        row=row,
        number=document_number(row.series, row.number or 0),
        notes=[
            ShownNote(note, document_number(note.series, note.number), note.credit_minor + note.card_minor)
            for note in row.creditnote_set.all()
        ],
    )


def get_credit_note(organization: Organization, number: str) -> CreditNote:
    """Return one credit note with its invoice.

    :raises NotFound: the Organization has no credit note of this number.
    """
    parsed = parse_document_number(number)
    notes = CreditNote.objects.select_related("invoice").filter(organization_id=organization.pk)
    note = notes.filter(series=parsed[0], number=parsed[1]).first() if parsed else None
    if note is None:
        raise NotFound(_("Not found."))
    return note


def seller_facts() -> dict[str, Any]:
    """Return whom a document names as the seller now.

    A Sovereign that has not filled in its facts sells under its own name and states no VAT number.
    """
    sovereign = get_sovereign()
    row = BillingSettings.objects.filter(pk=1).first() or BillingSettings()
    return {
        "name": row.seller_name or sovereign.name,
        "name_ar": row.seller_name_ar or (sovereign.name_ar if not row.seller_name else ""),
        "address": row.seller_address,
        "vatin": row.seller_vatin,
        "email": sovereign.support_email,
        "domain": sovereign.domain,
    }


def buyer_facts(organization: Organization) -> dict[str, Any]:
    """Return whom a document names as the buyer now; what is not filled in is taken from the Organization."""
    row = get_billing_details(organization)
    return {
        "name": row.name or organization.name,
        "name_ar": organization.name_ar if not row.name else "",
        "address": row.address,
        "vatin": row.vatin,
        "organization": organization.slug,
    }


def get_billing_details(organization: Organization) -> BillingDetails:
    """Return the Organization's billing details; empty ones when it never filled them in."""
    row = BillingDetails.objects.filter(pk=organization.pk).first()
    return row or BillingDetails(organization_id=organization.pk)


def billing_contact(organization: Organization) -> Contact:
    """Return where documents go: the billing e-mail, else a billing administrator, else an administrator.

    The language is that of the person who reads there; an address that is nobody's gets the Sovereign's first one.
    """
    address = get_billing_details(organization).email
    if address:
        person = User.objects.filter(email=address.lower()).first()
        return Contact(address, person.language if person else _first_language())
    people = Membership.objects.live().filter(organization=organization, user__is_active=True).select_related("user")
    for role in (Membership.Role.BILLING, Membership.Role.ADMIN):
        member = people.filter(role=role).order_by("pk").first()
        if member is not None:
            return Contact(member.user.email, member.user.language)
    return Contact("", _first_language())


def local_zone() -> ZoneInfo:
    """Return the Sovereign's time zone: documents are dated, and numbered by year, in it."""
    return ZoneInfo(get_sovereign().time_zone)


def _first_language() -> str:
    return next(iter(get_sovereign().languages), "en")
