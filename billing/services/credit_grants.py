"""Credit that staff give by hand: up to a limit by one person, above it by two. Amounts are minor units.

Source: docs/refunds.md, "Credit by hand".
"""

import hashlib
from datetime import datetime
from http import HTTPStatus
from typing import Any

from django.utils.translation import gettext as _

from billing.models import CreditGrant
from billing.selectors.credit_grants import needs_second_person
from billing.services.ledger import Entry, LockedAccount, lock_account, open_account, post_entries
from billing.services.reasons import check_reason
from catalyst.core import idempotency, outbox
from catalyst.core.database import use_case
from catalyst.core.errors import DomainError, NotFound
from catalyst.core.failpoints import fp
from catalyst.core.money import Money
from tenancy.models import Organization, User
from tenancy.selectors.sovereign import get_sovereign
from tenancy.services.audit import actor_name, append_audit, organization_stream


class GrantInvalid(DomainError):
    code = "grant_invalid"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class GrantDecided(DomainError):
    code = "grant_decided"
    status = HTTPStatus.CONFLICT


class SecondPersonRequired(DomainError):
    code = "second_person_required"
    status = HTTPStatus.CONFLICT


def request_grant(
    *, organization: Organization, amount: Money, reason: str, actor: User, now: datetime, key: str
) -> CreditGrant:
    """Give credit, or ask a second person for it when it is above the limit; the same ``key`` is the same grant.

    :raises ReasonRequired: no reason was given.
    :raises GrantInvalid: nothing to give, or another currency than the account's.
    :raises IdempotencyKeyReused: the key was used for another grant.
    """
    reason = check_reason(reason)
    if amount.amount <= 0:
        raise GrantInvalid(_("Enter an amount above zero."), pointer="/amount")
    open_account(organization=organization, sovereign=get_sovereign())
    return _request(organization, amount, reason=reason, actor=actor, now=now, key=idempotency.check_key(key))


@use_case
def _request(
    organization: Organization, amount: Money, *, reason: str, actor: User, now: datetime, key: str
) -> CreditGrant:
    account = lock_account(organization.pk)
    if amount.currency != account.currency:
        message = _("This account is in %(currency)s.") % {"currency": account.currency}
        raise GrantInvalid(message, pointer="/amount")
    scope = f"grant:{actor.pk}"
    text = f"{organization.pk}:{amount.amount}:{amount.currency}:{reason}"
    fingerprint = hashlib.sha256(text.encode()).digest()
    stored = idempotency.find(scope=scope, key=key, fingerprint=fingerprint)
    if stored is not None:
        return CreditGrant.objects.get(pk=int(stored.subject.removeprefix("grant:")))
    grant = CreditGrant.objects.create(
        organization_id=organization.pk,
        currency_id=amount.currency,
        amount_minor=amount.amount,
        reason=reason,
        needs_second=needs_second_person(organization.pk, amount.amount, actor=actor, now=now),
        state=CreditGrant.State.REQUESTED,
        requested_by=actor,
        created_at=now,
    )
    idempotency.claim(scope=scope, key=key, fingerprint=fingerprint, subject=f"grant:{grant.pk}")
    _record(grant, "credit.requested", actor=actor, detail={"needs_second": grant.needs_second})
    if not grant.needs_second:
        _post(account, grant, actor=actor, now=now)
    return grant


@use_case
def decide_grant(*, grant_id: int, approve: bool, actor: User, now: datetime) -> CreditGrant:
    """Approve or decline a grant that waits. Who asked may withdraw it and never approves it.

    :raises NotFound: there is no such grant. :raises GrantDecided: it was decided before.
    :raises SecondPersonRequired: the person who asked cannot be the second one.
    """
    organization_id = CreditGrant.objects.filter(pk=grant_id).values_list("organization_id", flat=True).first()
    if organization_id is None:
        raise NotFound(_("There is no such grant."))
    account = lock_account(organization_id)
    grant = CreditGrant.objects.select_for_update(of=("self",), no_key=True).get(pk=grant_id)
    if grant.state != CreditGrant.State.REQUESTED:
        raise GrantDecided(_("This grant was decided before."))
    if approve and grant.requested_by_id == actor.pk:
        raise SecondPersonRequired(_("You asked for this credit yourself. Somebody else has to approve it."))
    if approve:
        _post(account, grant, actor=actor, now=now)
    else:
        grant.state, grant.decided_by, grant.decided_at = CreditGrant.State.DECLINED, actor, now
        grant.save(update_fields=["state", "decided_by", "decided_at"])
        _record(grant, "credit.declined", actor=actor, detail={})
    return grant


def _post(account: LockedAccount, grant: CreditGrant, *, actor: User, now: datetime) -> None:
    key = f"grant:manual:{grant.pk}"
    entry = Entry("manual_grant", grant.amount_minor, "promotion", key)
    post_entries(account, [entry], actor=actor_name(actor))
    grant.state, grant.entry_seq = CreditGrant.State.GRANTED, account.last_seq + 1
    grant.decided_by, grant.decided_at = actor, now
    grant.save(update_fields=["state", "entry_seq", "decided_by", "decided_at"])
    _record(grant, "credit.granted", actor=actor, detail={"requested_by": actor_name(grant.requested_by)})
    organization = Organization.objects.get(pk=grant.organization_id)
    outbox.publish(
        topic="credit.granted",
        key=f"credit.granted:{grant.pk}",
        stream=organization_stream(organization),
        payload={
            "grant": grant.pk,
            "organization": grant.organization_id,
            "amount": grant.amount_minor,
            "currency": grant.currency_id,
        },
    )
    fp("grant.post.in_tx")


def _record(grant: CreditGrant, action: str, *, actor: User, detail: dict[str, Any]) -> None:
    append_audit(
        stream=organization_stream(Organization.objects.get(pk=grant.organization_id)),
        actor=actor,
        action=action,
        target=f"grant:{grant.pk}",
        detail={
            "amount": grant.amount_minor,
            "currency": grant.currency_id,
            "reason": grant.reason,
            **detail,
        },
    )
