"""Whether a domain is proven: asked of the DNS again and again, and written down.

A DNS that does not answer says nothing, so nothing changes by it. A proof that is gone for 72 hours is lost; what runs
under the domain goes on. Of two that claim one name the proof decides. Source: docs/domains.md.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

from django.utils.translation import gettext as _

from catalyst.core.database import use_case
from catalyst.core.errors import DomainError, NotFound
from tenancy.models import Domain, Organization, User
from tenancy.services.domain_proof import Answer, ask_proof, record_value
from tenancy.services.domains import release, tell

State, Trouble = Domain.State, Domain.Trouble
#: For how long a proof may be gone: DNS providers move, and weekends are long.
GRACE: Final = timedelta(hours=72)
#: How often a proof that stands is asked for, and one whose end is near.
DAILY, HOURLY = timedelta(hours=24), timedelta(hours=1)
#: A new one is asked for often at first, then hourly, and after a week only when a person wants it.
_OFTEN, _FIRST, _LAST = timedelta(minutes=5), timedelta(hours=24), timedelta(days=7)
#: A person's own look: not more often than this.
_PAUSE: Final = timedelta(seconds=10)
#: A question takes up to six seconds, and the next sweep comes after a minute.
_BATCH, _CLAIM = 10, timedelta(minutes=10)
_CHECKED = ("state", "trouble", "found", "verified_at", "last_checked_at", "missing_since", "next_check_at")


class CheckedJustNow(DomainError):
    """The DNS was asked a moment ago."""

    code = "checked_just_now"
    status = HTTPStatus.TOO_MANY_REQUESTS


def check_domain(*, domain: Domain, actor: User, now: datetime) -> Domain:
    """Ask the DNS now, because a person wants to know, and return what is known then.

    :raises CheckedJustNow: it was asked less than ten seconds ago. :raises NotFound: the domain was given up meanwhile.
    """
    claimed = Domain.objects.kept().filter(pk=domain.pk).exclude(last_checked_at__gt=now - _PAUSE)
    if not claimed.update(last_checked_at=now):
        text = _("We looked a moment ago. Wait ten seconds, then look again.")
        raise CheckedJustNow(text, retry_after=int(_PAUSE.total_seconds()))
    return record_answer(domain_id=domain.pk, answer=ask_proof(domain.name), actor=actor, now=now)


def sweep_domains(*, now: datetime) -> int:
    """Ask for what is due and write down what came; return how many were asked."""
    _release_orphans(now=now)
    due = _claim_due(now=now)
    for domain in due:
        record_answer(domain_id=domain.pk, answer=ask_proof(domain.name), actor="platform", now=now)
    return len(due)


@use_case
def record_answer(*, domain_id: int, answer: Answer, actor: User | str, now: datetime) -> Domain:
    """Write down what the DNS said of a domain.

    The rows of all who claim the name are locked: the answer holds everybody's proof, so it decides between them.

    :raises NotFound: the domain was given up meanwhile.
    """
    claimants = lock_claimants(domain_id)
    domain = next((each for each in claimants if each.pk == domain_id), None)
    if domain is None:
        raise NotFound(_("Not found."))
    domain.last_checked_at = now
    if record_value(domain.token) not in answer.values:
        _note_missing(domain, answer, actor=actor, now=now)
        return domain
    holder = next((each for each in claimants if each is not domain and each.state == State.VERIFIED), None)
    if holder is not None and record_value(holder.token) in answer.values:
        _note(domain, trouble=Trouble.TAKEN, next_check_at=_next_look(domain, now))
        return domain
    if holder is not None:
        _fail(holder, Trouble.OTHER, actor="platform", now=now)
    _prove(domain, actor=actor, now=now)
    return domain


def lock_claimants(domain_id: int) -> list[Domain]:
    """Lock everybody's rows of the name of one domain, always in the same order, and return them."""
    name = Domain.objects.filter(pk=domain_id).values("name")
    rows = Domain.objects.kept().filter(name__in=name).select_related("organization").order_by("pk")
    return list(rows.select_for_update(of=("self",), no_key=True))


def _prove(domain: Domain, *, actor: User | str, now: datetime) -> None:
    is_new = domain.state != State.VERIFIED
    domain.state, domain.missing_since = State.VERIFIED, None
    domain.verified_at = now if is_new else domain.verified_at
    _note(domain, trouble=Trouble.NONE, next_check_at=now + DAILY)
    if is_new:
        tell(domain, "domain.verified", actor=actor, now=now)


def _note_missing(domain: Domain, answer: Answer, *, actor: User | str, now: datetime) -> None:
    trouble = answer.trouble or Trouble.OTHER
    if domain.state != State.VERIFIED:
        next_look = _next_look(domain, now) if domain.state == State.PENDING else None
        _note(domain, trouble=trouble, found=answer.shown, next_check_at=next_look)
        return
    if trouble != Trouble.SILENT:
        domain.missing_since = domain.missing_since or now
        if now - domain.missing_since >= GRACE:
            _fail(domain, trouble, found=answer.shown, actor=actor, now=now)
            return
    _note(domain, trouble=trouble, found=answer.shown, next_check_at=now + HOURLY)


def _fail(
    domain: Domain, trouble: Domain.Trouble, *, found: Iterable[str] = (), actor: User | str, now: datetime
) -> None:
    domain.state = State.FAILED
    _note(domain, trouble=trouble, found=found, next_check_at=None)
    tell(domain, "domain.failed", actor=actor, now=now, trouble=str(trouble))


def _note(
    domain: Domain, *, trouble: Domain.Trouble, found: Iterable[str] = (), next_check_at: datetime | None
) -> None:
    domain.trouble, domain.found, domain.next_check_at = trouble, list(found), next_check_at
    domain.save(update_fields=_CHECKED)


def _next_look(domain: Domain, now: datetime) -> datetime | None:
    age = now - domain.created_at
    if age > _LAST:
        return None
    return now + (_OFTEN if age < _FIRST else HOURLY)


@use_case
def _claim_due(*, now: datetime) -> list[Domain]:
    """Return what is due, and let no other sweep ask for the same."""
    rows = Domain.objects.kept().filter(next_check_at__lte=now).order_by("next_check_at")
    due = list(rows.select_for_update(of=("self",), no_key=True, skip_locked=True)[:_BATCH])
    Domain.objects.filter(pk__in=[each.pk for each in due]).update(next_check_at=now + _CLAIM)
    return due


@use_case
def _release_orphans(*, now: datetime) -> None:
    """Give up what belongs to Organizations that are deleted."""
    rows = Domain.objects.kept().filter(organization__state=Organization.State.DELETED).select_related("organization")
    for domain in rows.select_for_update(of=("self",), no_key=True, skip_locked=True)[:_BATCH]:
        release(domain, actor="platform", now=now)
