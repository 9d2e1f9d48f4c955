"""Issue, find, preview, pause and revoke Vouchers.

Issued means immutable: a wrong Voucher is revoked and a new one issued. A code is never issued twice.
"""

from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from django.db import IntegrityError
from django.utils.translation import gettext as _

from billing.models import Voucher
from billing.services.code_attempts import Guesser, check_guesser, count_preview, record_failure
from billing.services.voucher_codes import (
    CAMPAIGN,
    GENERATED,
    code_key,
    display_code,
    generate_code,
    has_wrong_check_character,
    normalize_code,
)
from catalyst.core import outbox
from catalyst.core.crypto import seal, unseal
from catalyst.core.database import use_case, violated_constraint
from catalyst.core.errors import DomainError
from catalyst.core.money import Money
from tenancy.models import Sovereign, User
from tenancy.services.audit import append_audit

_STREAM = "sovereign"


class VoucherNotFound(DomainError):
    """Unknown or revoked: both look the same, in status, body and headers."""

    code = "voucher_not_found"
    status = HTTPStatus.NOT_FOUND


class VoucherNotAccepting(DomainError):
    """The code exists and cannot be used now. ``reason`` is for pages; the API answers all reasons alike."""

    code = "voucher_not_accepting"
    status = HTTPStatus.GONE

    def __init__(self, message: str, *, voucher: Voucher, reason: str) -> None:
        super().__init__(message)
        self.voucher = voucher
        self.reason = reason


class VoucherCodeTaken(DomainError):
    code = "voucher_code_taken"
    status = HTTPStatus.CONFLICT


class VoucherInvalid(DomainError):
    code = "voucher_invalid"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True)
class VoucherTerms:
    """What a new Voucher grants and to how many; ``code`` empty means "generate one"."""

    credit: Money
    code: str = ""
    description: str = ""
    campaign: str = ""
    max_redemptions: int | None = None
    per_organization_limit: int = 1
    starts_at: datetime | None = None
    ends_at: datetime | None = None


@use_case
def issue_voucher(
    *, terms: VoucherTerms, sovereign: Sovereign, actor: User | None, now: datetime
) -> tuple[Voucher, str]:
    """Issue one Voucher and return it with its code as shown.

    :raises VoucherInvalid: amount, dates, caps or code break a rule; the message says which.
    :raises VoucherCodeTaken: the code was issued before, live or revoked.
    """
    check_terms(terms, sovereign)
    normal = _new_code(terms.code)
    voucher = new_voucher(terms, normal, actor=actor, now=now)
    try:
        voucher.save(force_insert=True)
    except IntegrityError as error:
        if violated_constraint(error) == "voucher_code_once":
            raise VoucherCodeTaken(_("This code was issued before. Choose another one.")) from None
        raise
    append_audit(
        stream=_STREAM,
        actor=actor or "system",
        action="voucher.issued",
        target=f"voucher:{voucher.pk}",
        detail={"credit": terms.credit.as_json(), "hint": voucher.code_hint, "cap": terms.max_redemptions},
    )
    outbox.publish(
        topic="voucher.issued", key=f"voucher.issued:{voucher.pk}", stream=_STREAM, payload={"voucher": voucher.pk}
    )
    return voucher, terms.code.strip().upper() or display_code(normal)


@use_case
def revoke_voucher(*, voucher_id: int, actor: User, now: datetime) -> None:
    """Take a Voucher back for good; credit that was granted stays where it is.

    :raises VoucherNotFound: there is no live Voucher with this id.
    """
    if not Voucher.objects.filter(pk=voucher_id, revoked_at=None).update(revoked_at=now):
        raise VoucherNotFound(_("There is no live voucher with this code."))
    append_audit(stream=_STREAM, actor=actor, action="voucher.revoked", target=f"voucher:{voucher_id}", detail={})
    outbox.publish(
        topic="voucher.revoked", key=f"voucher.revoked:{voucher_id}", stream=_STREAM, payload={"voucher": voucher_id}
    )


@use_case
def set_voucher_active(*, voucher_id: int, active: bool, actor: User) -> None:
    """Pause or resume a Voucher.

    :raises VoucherNotFound: there is no live Voucher with this id.
    """
    if not Voucher.objects.filter(pk=voucher_id, revoked_at=None).update(active=active):
        raise VoucherNotFound(_("There is no live voucher with this code."))
    action = "voucher.resumed" if active else "voucher.paused"
    append_audit(stream=_STREAM, actor=actor, action=action, target=f"voucher:{voucher_id}", detail={})


def look_up_voucher(*, code: str, guesser: Guesser, now: datetime) -> Voucher:
    """Return the live Voucher of a typed code, counting a failed guess.

    :raises VoucherNotFound: unknown or revoked; a mistyped generated code is answered without look-up or count.
    :raises TooManyTries: the guesser has failed too often.
    """
    check_guesser(guesser=guesser, now=now)
    normal = normalize_code(code)
    if normal is None or has_wrong_check_character(normal):
        raise voucher_not_found()
    voucher = Voucher.objects.filter(code_key=code_key(normal), revoked_at=None).first()
    if voucher is None:
        record_failure(guesser=guesser, now=now)
        raise voucher_not_found()
    return voucher


def preview_voucher(*, code: str, guesser: Guesser, now: datetime) -> Voucher:
    """Return the Voucher if it would be accepted now; nothing is written but a failed guess.

    :raises VoucherNotFound: unknown or revoked.
    :raises VoucherNotAccepting: outside its window, paused, or all places taken.
    :raises TooManyTries: the guesser has failed too often.
    """
    count_preview(guesser=guesser, now=now)
    voucher = look_up_voucher(code=code, guesser=guesser, now=now)
    reason = closed_reason(voucher, now)
    if reason:
        raise VoucherNotAccepting(_("This voucher is not accepting redemptions now."), voucher=voucher, reason=reason)
    return voucher


def closed_reason(voucher: Voucher, now: datetime) -> str:
    """Return why a live Voucher takes nobody now: ``not_yet``, ``expired``, ``paused``, ``used_up``, or nothing."""
    if voucher.starts_at > now:
        return "not_yet"
    if voucher.ends_at is not None and voucher.ends_at <= now:
        return "expired"
    if not voucher.active:
        return "paused"
    if voucher.max_redemptions is not None and voucher.redeemed_count >= voucher.max_redemptions:
        return "used_up"
    return ""


def reveal_code(voucher: Voucher) -> str:
    """Return the code as shown, for voucher managers and for the Organization that used it."""
    place = f"billing_voucher:code:{bytes(voucher.code_key).hex()}"
    return display_code(unseal(voucher.code_sealed, place=place, scope=_STREAM))


def voucher_not_found() -> VoucherNotFound:
    return VoucherNotFound(_("We can't find this code."))


def new_voucher(terms: VoucherTerms, normal: str, *, actor: User | None, now: datetime) -> Voucher:
    """Return a row that is not saved yet. ``normal`` is the normal form of its code."""
    return Voucher(
        code_key=code_key(normal),
        # A campaign code is shown in the spelling its issuer chose; every spelling of it is accepted.
        code_sealed=seal(terms.code.strip().upper() or normal, place=_sealed_place(normal), scope=_STREAM),
        code_hint=normal[-4:],
        description=terms.description,
        campaign=terms.campaign,
        currency_id=terms.credit.currency,
        grant_minor=terms.credit.amount,
        starts_at=terms.starts_at or now,
        ends_at=terms.ends_at,
        max_redemptions=terms.max_redemptions,
        per_organization_limit=terms.per_organization_limit,
        issued_by=actor,
    )


def _sealed_place(normal: str) -> str:
    return f"billing_voucher:code:{code_key(normal).hex()}"


def check_terms(terms: VoucherTerms, sovereign: Sovereign) -> None:
    """Refuse terms that no Voucher may have.

    :raises VoucherInvalid: with the part that is wrong.
    """
    if terms.credit.currency != sovereign.currency_id:
        raise VoucherInvalid(_("The credit must be in %s.") % sovereign.currency_id, pointer="/credit/currency")
    if not 0 < terms.credit.amount <= 10**12:
        raise VoucherInvalid(_("The credit must be more than zero."), pointer="/credit/amount")
    if terms.max_redemptions is not None and not 0 < terms.max_redemptions <= 10**6:
        raise VoucherInvalid(_("Allow at least one use, or leave the number empty."), pointer="/max_redemptions")
    if not 1 <= terms.per_organization_limit <= 1000:
        raise VoucherInvalid(_("Allow 1 to 1000 uses per Organization."), pointer="/per_organization_limit")
    if terms.starts_at and terms.ends_at and terms.ends_at <= terms.starts_at:
        raise VoucherInvalid(_("The voucher must end after it starts."), pointer="/ends_at")


def _new_code(chosen: str) -> str:
    if not chosen:
        return generate_code()
    normal = normalize_code(chosen)
    if normal is None or not CAMPAIGN.fullmatch(chosen.strip().upper()):
        raise VoucherInvalid(_("Use 6 to 64 letters and digits, with single hyphens between them."), pointer="/code")
    if GENERATED.fullmatch(normal):
        raise VoucherInvalid(
            _("This code looks like a generated one. Choose a shorter or longer one."), pointer="/code"
        )
    return normal
