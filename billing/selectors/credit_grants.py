"""Whether credit by hand needs a second person. Amounts are minor units."""

from datetime import datetime, timedelta

from django.db.models import Sum

from billing.models import BillingSettings, CreditGrant
from tenancy.models import User

#: Grants of one person to one Organization within this time count together: a limit that is cut in slices is none.
_ONE_GRANT = timedelta(hours=24)
#: The limit of a Sovereign that has not stored billing settings yet, as the column's default.
_LIMIT_MINOR = 50_000


def needs_second_person(organization_id: int, amount_minor: int, *, actor: User, now: datetime) -> bool:
    """Answer whether this person may give this amount alone; ask under the account's lock before acting on it."""
    limit = BillingSettings.objects.values_list("grant_limit_minor", flat=True).filter(pk=1).first()
    alone = CreditGrant.objects.filter(
        organization_id=organization_id,
        requested_by=actor,
        needs_second=False,
        state=CreditGrant.State.GRANTED,
        created_at__gt=now - _ONE_GRANT,
    )
    given: int = alone.aggregate(total=Sum("amount_minor"))["total"] or 0
    return given + amount_minor > (_LIMIT_MINOR if limit is None else limit)
