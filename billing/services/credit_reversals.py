"""Take granted credit back: exact, once, and only while it is unspent. Amounts are minor units.

Source: docs/refunds.md, "Credit taken back".
"""

from datetime import datetime
from http import HTTPStatus
from typing import Any

from django.db.models import F
from django.utils.translation import gettext as _

from billing.models import CreditGrant, LedgerEntry, Redemption, Voucher
from billing.services.ledger import Entry, LockedAccount, lock_account, post_entries
from billing.services.reasons import check_reason
from catalyst.core import outbox
from catalyst.core.database import use_case
from catalyst.core.errors import DomainError, NotFound
from catalyst.core.failpoints import fp
from tenancy.models import Organization, User
from tenancy.services.audit import actor_name, append_audit, organization_stream


class CreditSpent(DomainError):
    code = "credit_spent"
    status = HTTPStatus.CONFLICT


class NothingToReverse(DomainError):
    code = "nothing_to_reverse"
    status = HTTPStatus.CONFLICT


@use_case
def reverse_redemption(*, redemption_id: int, reason: str, actor: User, now: datetime) -> None:
    """Take a Voucher's credit back and free its place, in one transaction.

    :raises NotFound: there is no such redemption. :raises NothingToReverse: it granted nothing, or was reversed before.
    :raises CreditSpent: the credit, or a part of it, is spent or set aside. :raises ReasonRequired: no reason.
    """
    reason = check_reason(reason)
    found = Redemption.objects.filter(pk=redemption_id).values_list("organization_id", flat=True).first()
    if found is None:
        raise NotFound(_("There is no such redemption."))
    account = lock_account(found)
    redemption = Redemption.objects.select_for_update(of=("self",), no_key=True).get(pk=redemption_id)
    if redemption.state != Redemption.State.REDEEMED or redemption.grant_seq is None:
        raise NothingToReverse(_("This redemption has no credit that could be taken back."))
    _reverse(account, redemption.grant_seq, target=f"redemption:{redemption.pk}", reason=reason, actor=actor)
    redemption.state = Redemption.State.REVERSED
    redemption.save(update_fields=["state"])
    # The place is free again; the hot row comes last.
    Voucher.objects.filter(pk=redemption.voucher_id).update(redeemed_count=F("redeemed_count") - 1)
    fp("reversal.post.in_tx")


@use_case
def reverse_grant(*, grant_id: int, reason: str, actor: User, now: datetime) -> None:
    """Take back credit that was given by hand.

    :raises NotFound: there is no such grant. :raises NothingToReverse: it was not granted, or was reversed before.
    :raises CreditSpent: the credit, or a part of it, is spent or set aside. :raises ReasonRequired: no reason.
    """
    reason = check_reason(reason)
    grant = CreditGrant.objects.filter(pk=grant_id).first()
    if grant is None:
        raise NotFound(_("There is no such grant."))
    account = lock_account(grant.organization_id)
    grant.refresh_from_db()
    if grant.entry_seq is None:
        raise NothingToReverse(_("This credit was not granted, so there is nothing to take back."))
    _reverse(account, grant.entry_seq, target=f"grant:{grant.pk}", reason=reason, actor=actor)
    fp("reversal.post.in_tx")


def _reverse(account: LockedAccount, seq: int, *, target: str, reason: str, actor: User) -> None:
    """Post the exact opposite of one entry. What is frozen may be taken back; what is held for a checkout may not."""
    mine = LedgerEntry.objects.filter(organization_id=account.organization_id)
    entry = mine.get(seq=seq)
    if mine.filter(reverses_seq=seq).exists():
        raise NothingToReverse(_("This credit was taken back before."))
    if account.posted_minor - account.held_minor < entry.amount_minor:
        raise CreditSpent(_("This credit is spent, or set aside for an open order. It cannot be taken back now."))
    reversal = Entry(
        "reversal",
        -entry.amount_minor,
        entry.counter_account,
        f"reverse:{seq}",
        reverses_seq=seq,
        reverses_amount_minor=entry.amount_minor,
        reverses_kind=entry.kind,
    )
    post_entries(account, [reversal], actor=actor_name(actor))
    _record(entry, target=target, reason=reason, actor=actor)


def _record(entry: LedgerEntry, *, target: str, reason: str, actor: User) -> None:
    stream = organization_stream(Organization.objects.get(pk=entry.organization_id))
    facts: dict[str, Any] = {"amount": entry.amount_minor, "kind": entry.kind}
    append_audit(
        stream=stream, actor=actor, action="credit.reversed", target=target, detail={**facts, "reason": reason}
    )
    payload = {"organization": entry.organization_id, "entry": entry.seq, **facts}
    key = f"credit.reversed:{entry.organization_id}:{entry.seq}"
    outbox.publish(topic="credit.reversed", key=key, stream=stream, payload=payload)
