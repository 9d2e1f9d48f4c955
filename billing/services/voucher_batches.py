"""Issue, pause, resume and revoke many Vouchers of equal terms at once: a campaign. All or nothing.

Every code has a cap, so that what a batch may cost is a number before it is issued. Source: docs/vouchers.md.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from billing.models import Voucher, VoucherBatch
from billing.services.voucher_codes import generate_code
from billing.services.vouchers import VoucherInvalid, VoucherTerms, check_terms, new_voucher, reveal_code
from catalyst.core import outbox
from catalyst.core.database import use_case
from catalyst.core.errors import DomainError, NotFound
from catalyst.core.money import Money
from tenancy.models import Sovereign, User
from tenancy.services.audit import append_audit

MOST_CODES = 5000
_STREAM = "sovereign"


class VoucherBatchTaken(DomainError):
    """The form was used before, for another batch."""

    code = "voucher_batch_taken"
    status = HTTPStatus.CONFLICT


@dataclass(frozen=True, slots=True)
class BatchTerms:
    """``count`` codes of equal ``terms``, whose ``code`` is empty and whose ``campaign`` is not."""

    terms: VoucherTerms
    count: int
    partner: str = ""

    def exposure(self) -> Money:
        """Return what the batch costs at most: every code used as often as it may be."""
        credit = self.terms.credit
        return Money(self.count * (self.terms.max_redemptions or 0) * credit.amount, credit.currency)


def check_batch(batch: BatchTerms, sovereign: Sovereign) -> None:
    """Refuse a batch that must not be issued.

    :raises VoucherInvalid: with the part that is wrong.
    """
    if not 1 <= batch.count <= MOST_CODES:
        raise VoucherInvalid(_("A batch has 1 to %(most)d codes.") % {"most": MOST_CODES}, pointer="/count")
    if batch.terms.code:
        raise VoucherInvalid(_("The codes of a batch are generated. Leave the code empty."), pointer="/code")
    if not batch.terms.campaign.strip():
        raise VoucherInvalid(_("Name the campaign, so that its report can be found."), pointer="/campaign")
    if batch.terms.max_redemptions is None:
        raise VoucherInvalid(_("Say how often each code may be used."), pointer="/max_redemptions")
    check_terms(batch.terms, sovereign)


@use_case
def issue_batch(*, batch: BatchTerms, sovereign: Sovereign, token: UUID, actor: User, now: datetime) -> VoucherBatch:
    """Issue all codes of a batch, or none. The same ``token`` again returns the batch that it made.

    :raises VoucherInvalid: count, campaign, amount, dates or caps break a rule; the message says which.
    :raises VoucherBatchTaken: the token made another batch.
    """
    check_batch(batch, sovereign)
    asked = {"campaign": batch.terms.campaign, "partner": batch.partner, "count": batch.count}
    # Two submits at once: the second waits here for the first, and finds its row.
    row, is_new = VoucherBatch.objects.get_or_create(token=token, defaults={**asked, "issued_by": actor})
    if not is_new:
        if any(getattr(row, name) != value for name, value in asked.items()):
            raise VoucherBatchTaken(_("This form has issued another batch. Start again with a new form."))
        return row
    codes: set[str] = set()
    while len(codes) < batch.count:
        codes.add(generate_code())
    vouchers = [new_voucher(batch.terms, code, actor=actor, now=now) for code in codes]
    for voucher in vouchers:
        voucher.batch = row
    Voucher.objects.bulk_create(vouchers, batch_size=1000)
    detail = {**asked, "credit": batch.terms.credit.as_json(), "cap": batch.terms.max_redemptions}
    _record(row, "issued", actor=actor, detail=detail)
    return row


@use_case
def set_batch_active(*, batch_id: int, active: bool, actor: User) -> int:
    """Pause or resume every live Voucher of a batch; return how many changed.

    :raises NotFound: there is no such batch.
    """
    row = _get(batch_id)
    changed = _live(row).filter(active=not active).update(active=active)
    _record(row, "resumed" if active else "paused", actor=actor, detail={"vouchers": changed}, is_event=False)
    return changed


@use_case
def revoke_batch(*, batch_id: int, actor: User, now: datetime) -> int:
    """Take every live Voucher of a batch back for good; return how many. Credit that was granted stays where it is.

    :raises NotFound: there is no such batch.
    """
    row = _get(batch_id)
    revoked = _live(row).update(revoked_at=now)
    # A second time has nothing left to revoke, and is no second event.
    _record(row, "revoked", actor=actor, detail={"vouchers": revoked}, is_event=revoked > 0)
    return revoked


@use_case
def take_codes(
    *, batch_id: int, part: slice = slice(None), form: str, actor: User
) -> tuple[VoucherBatch, list[tuple[Voucher, str]]]:
    """Return the live Vouchers of a batch with their codes, in the order of issue, and note who took them.

    ``part`` picks some of them. Whoever has a code can use it, so that each reading stands in the audit trail.

    :raises NotFound: there is no such batch.
    """
    row = _get(batch_id)
    vouchers = list(_live(row).order_by("pk")[part])
    _record(row, "downloaded", actor=actor, detail={"form": form, "vouchers": len(vouchers)}, is_event=False)
    return row, list(zip(vouchers, _codes(vouchers), strict=True))


def _codes(vouchers: Iterable[Voucher]) -> list[str]:
    return [reveal_code(voucher) for voucher in vouchers]


def _get(batch_id: int) -> VoucherBatch:
    row = VoucherBatch.objects.filter(pk=batch_id).first()
    if row is None:
        raise NotFound(_("There is no such batch."))
    return row


def _live(row: VoucherBatch) -> QuerySet[Voucher]:
    return Voucher.objects.filter(batch=row, revoked_at=None)


def _record(row: VoucherBatch, verb: str, *, actor: User, detail: dict[str, object], is_event: bool = True) -> None:
    action = f"voucher_batch.{verb}"
    append_audit(stream=_STREAM, actor=actor, action=action, target=f"voucher_batch:{row.pk}", detail=detail)
    if is_event:
        outbox.publish(topic=action, key=f"{action}:{row.pk}", stream=_STREAM, payload={"batch": row.pk})
