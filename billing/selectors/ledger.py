"""Balance and credit ledger of one Organization. Amounts are minor units."""

from dataclasses import dataclass

from django.db.models import QuerySet

from billing.models import Account, LedgerEntry
from tenancy.models import Organization


@dataclass(frozen=True, slots=True)
class Balance:
    """``posted`` is what the ledger says, ``held`` what open checkouts have set aside."""

    posted_minor: int
    held_minor: int
    currency: str
    is_frozen: bool = False

    @property
    def available_minor(self) -> int:
        return 0 if self.is_frozen else max(self.posted_minor - self.held_minor, 0)


def get_balance(organization: Organization, *, currency: str) -> Balance:
    """Return the balance; an Organization that never had credit has nothing, in ``currency``."""
    account = Account.objects.filter(organization=organization).first()
    if account is None:
        return Balance(0, 0, currency)
    return Balance(account.posted_minor, account.held_minor, account.currency_id, account.frozen_at is not None)


def list_entries(organization: Organization) -> QuerySet[LedgerEntry]:
    """Return the entries with what they cite; the opening line of 0 is the chain's anchor and no money fact."""
    entries = LedgerEntry.objects.filter(organization_id=organization.pk).exclude(kind=LedgerEntry.Kind.OPENING)
    return entries.select_related("organization", "order", "redemption__voucher")
