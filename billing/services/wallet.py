"""Add a Voucher's credit to the balance without buying anything: one transaction, nothing to compensate."""

import uuid
from datetime import datetime
from http import HTTPStatus

from django.utils.translation import gettext as _

from billing.models import LedgerEntry, Redemption, Voucher
from billing.services.code_attempts import Guesser
from billing.services.ledger import Entry, lock_account, open_account, post_entries
from billing.services.own_vouchers import OwnUse, VoucherUse, decide_use, take_place, voucher_busy
from billing.services.vouchers import VoucherNotAccepting, look_up_voucher
from catalyst.core import outbox
from catalyst.core.database import use_case
from catalyst.core.errors import DomainError
from catalyst.core.failpoints import fp
from tenancy.models import Organization, Sovereign, User
from tenancy.services.audit import append_audit, organization_stream


class VoucherAlreadyRedeemed(DomainError):
    code = "voucher_already_redeemed"
    status = HTTPStatus.CONFLICT


def redeem_to_balance(
    *, code: str, organization: Organization, sovereign: Sovereign, actor: User, address: str, now: datetime
) -> LedgerEntry:
    """Turn a code into credit on the Organization's ledger and return the entry.

    :raises VoucherNotFound, VoucherNotAccepting, VoucherBusy, TooManyTries: nothing changed.
    :raises VoucherAlreadyRedeemed: the Organization has used every slot it has for this code.
    """
    guesser = Guesser(user_id=actor.pk, organization_id=organization.pk, address=address)
    voucher = look_up_voucher(code=code, guesser=guesser, now=now)
    open_account(organization=organization, sovereign=sovereign)
    return _grant(voucher=voucher, organization=organization, actor=actor, now=now)


@use_case
def _grant(*, voucher: Voucher, organization: Organization, actor: User, now: datetime) -> LedgerEntry:
    account = lock_account(organization.pk)
    if account.frozen_at:
        raise VoucherNotAccepting(_("This account takes no vouchers now."), voucher=voucher, reason="frozen")
    voucher.refresh_from_db()
    slot = _free_slot(voucher, organization, currency=account.currency, now=now)
    redemption = Redemption(
        organization_id=organization.pk,
        voucher=voucher,
        state=Redemption.State.REDEEMED,
        currency_id=voucher.currency_id,
        grant_minor=voucher.grant_minor,
        per_organization_limit=voucher.per_organization_limit,
        slot=slot,
        grant_seq=account.last_seq + 1,
        resolved_at=now,
    )
    redemption.save(force_insert=True)
    key = f"grant:{redemption.pk}"
    entry = Entry("voucher_grant", voucher.grant_minor, "promotion", key, redemption_id=redemption.pk)
    post_entries(account, [entry], actor=f"user:{actor.uuid}")
    _announce(redemption, organization, actor)
    take_place(voucher, column="redeemed_count")
    fp("redeem.wallet.in_tx")
    return LedgerEntry.objects.get(organization_id=organization.pk, seq=account.last_seq + 1)


def _free_slot(voucher: Voucher, organization: Organization, *, currency: str, now: datetime) -> int:
    rows = Redemption.objects.filter(
        voucher=voucher, organization_id=organization.pk, state__in=["reserved", "redeemed"]
    )
    uses = [OwnUse(row.slot, row.cart_id, row.state == "reserved", row.checkout_id) for row in rows]
    use = decide_use(voucher=voucher, uses=uses, cart_id=uuid.uuid4(), currency=currency, now=now)
    if not isinstance(use, VoucherUse):
        raise voucher_busy()
    if not use.slot:
        raise VoucherAlreadyRedeemed(_("Your organization used this voucher already; its credit is in your balance."))
    return use.slot


def _announce(redemption: Redemption, organization: Organization, actor: User) -> None:
    outbox.publish(
        topic="voucher.redeemed",
        key=f"voucher.redeemed:{redemption.pk}",
        stream=organization_stream(organization),
        payload={
            "redemption": redemption.pk,
            "amount": redemption.grant_minor,
            "currency": redemption.currency_id,
        },
    )
    append_audit(
        stream=organization_stream(organization),
        actor=actor,
        action="voucher.redeemed",
        target=f"voucher:{redemption.voucher_id}",
        detail={"credit": redemption.grant_minor, "currency": redemption.currency_id},
    )
