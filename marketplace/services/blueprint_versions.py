"""The steps in the life of a Blueprint version: draft, review, published, retired; and yanked, which is for ever.

Each step is taken from the state that it is legal from or not at all, and leaves an audit row and an event. Who may
take it is asked at the edge. Source: docs/blueprints.md, "Life of a version".
"""

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from django.utils.translation import gettext as _

from catalyst.core import outbox
from catalyst.core.database import use_case
from catalyst.core.errors import DomainError, InvalidTransition, NotFound
from marketplace.models import BlueprintVersion
from marketplace.selectors.releases import blueprint_stream
from tenancy.models import AuditEntry, User
from tenancy.services.audit import SOVEREIGN_STREAM, actor_name, append_audit, organization_stream

State = BlueprintVersion.State
LONGEST_REASON: Final = 500


class ReasonRequired(DomainError):
    """Whoever takes something away, or sends it back, says why."""

    code = "reason_required"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class OwnSubmission(DomainError):
    """A second person looks at what is published for the whole Sovereign."""

    code = "own_submission"
    status = HTTPStatus.FORBIDDEN


@use_case
def submit_version(*, version_id: int, actor: User) -> BlueprintVersion:
    """Hand a draft over for review.

    :raises InvalidTransition: it is no draft. :raises NotFound: it does not exist.
    """
    return step(version_id, "submitted", before=State.DRAFT, after=State.REVIEW, actor=actor)


@use_case
def return_version(*, version_id: int, actor: User, reason: str) -> BlueprintVersion:
    """Send a version in review back to its author, who reads the reason.

    :raises ReasonRequired: there is none. :raises InvalidTransition: it is not in review.
    :raises NotFound: it does not exist.
    """
    text = check_reason(reason)
    return step(version_id, "returned", before=State.REVIEW, after=State.DRAFT, actor=actor, reason=text)


@use_case
def retire_version(*, version_id: int, actor: User, reason: str) -> BlueprintVersion:
    """Stop offering a version; where it runs it keeps running.

    :raises ReasonRequired: there is none. :raises InvalidTransition: it is not published.
    :raises NotFound: it does not exist.
    """
    text = check_reason(reason)
    return step(version_id, "retired", before=State.PUBLISHED, after=State.RETIRED, actor=actor, reason=text)


@use_case
def restore_version(*, version_id: int, actor: User) -> BlueprintVersion:
    """Offer a retired version again.

    :raises InvalidTransition: it is not retired, or was withdrawn: that is for ever.
    :raises NotFound: it does not exist.
    """
    version = lock_version(version_id)
    if version.yanked_at is not None:
        raise InvalidTransition(_("A withdrawn version never comes back. Publish a new version."))
    return step(version_id, "restored", before=State.RETIRED, after=State.PUBLISHED, actor=actor)


@use_case
def yank_version(
    *, version_id: int, actor: User, reason: str, now: datetime, is_security: bool = False
) -> BlueprintVersion:
    """Withdraw a version for ever: nobody installs it any more, and where it runs people are told to move on.

    ``is_security`` says that the reason is a danger to those who run it.

    :raises ReasonRequired: there is none. :raises InvalidTransition: it was never published, or is withdrawn already.
    :raises NotFound: it does not exist.
    """
    text = check_reason(reason)
    version = lock_version(version_id)
    if version.yanked_at is not None:
        raise InvalidTransition(_("This version is withdrawn already."))
    if version.state not in (State.PUBLISHED, State.RETIRED):
        raise _illegal(version)
    _change(version, yanked_at=now)
    record_step(version, "yanked", actor=actor, reason=text, security=is_security)
    return version


@use_case
def discard_draft(*, version_id: int, actor: User) -> None:
    """Delete a draft; its number is free again.

    :raises InvalidTransition: it is no draft, and what was in review or published stays for ever.
    :raises NotFound: it does not exist.
    """
    version = lock_version(version_id)
    if version.state != State.DRAFT:
        raise _illegal(version)
    record_step(version, "discarded", actor=actor, digest=version.digest)
    version.delete()


def step(
    version_id: int, name: str, *, before: str, after: str, actor: User, reason: str = "", **more: Any
) -> BlueprintVersion:
    """Take one step and record it; call inside a transaction.

    :raises InvalidTransition: the version is not in ``before``. :raises NotFound: it does not exist.
    """
    version = lock_version(version_id)
    if version.state != before:
        raise _illegal(version)
    _change(version, state=after)
    record_step(version, name, actor=actor, reason=reason, **more)
    return version


def lock_version(version_id: int) -> BlueprintVersion:
    """Lock one version until the end of the transaction, so that steps follow each other.

    :raises NotFound: it does not exist.
    """
    rows = BlueprintVersion.objects.select_for_update(of=("self",)).select_related("blueprint__organization")
    version = rows.filter(pk=version_id).first()
    if version is None:
        raise NotFound(_("Not found."))
    return version


def check_other_person(version: BlueprintVersion, actor: User) -> None:
    """Refuse whoever handed the version over, or pushed it.

    :raises OwnSubmission: it is this person's own.
    """
    if actor_name(actor) in _authors_of(version):
        raise OwnSubmission(_("Somebody else must look at it: you handed this version over. Ask a colleague."))


def check_reason(reason: str) -> str:
    """Return the reason without the space around it.

    :raises ReasonRequired: it is empty or longer than ``LONGEST_REASON`` characters.
    """
    text = reason.strip()
    if not text or len(text) > LONGEST_REASON:
        raise ReasonRequired(_("Write down the reason, in 500 characters at most."), pointer="/reason")
    return text


def record_step(version: BlueprintVersion, name: str, *, actor: User | str, reason: str = "", **more: Any) -> None:
    """Write the audit row and the event of one step; call inside its transaction."""
    blueprint = version.blueprint
    stream = organization_stream(blueprint.organization) if blueprint.organization else SOVEREIGN_STREAM
    facts: Mapping[str, Any] = {
        "blueprint": blueprint.name,
        "source": blueprint.source,
        "version": version.version,
        "reason": reason,
        **more,
    }
    action, target = f"blueprint_version.{name}", f"blueprintversion:{version.pk}"
    number = append_audit(stream=stream, actor=actor, action=action, target=target, detail=facts)
    outbox.publish(
        topic=action,
        key=f"{action}:{version.pk}:{number}",
        stream=blueprint_stream(blueprint.pk),
        payload={**facts, "version_id": version.pk, "actor": actor_name(actor)},
    )


def _authors_of(version: BlueprintVersion) -> frozenset[str]:
    """Return who pushed a version of the Sovereign's own and who submitted it last, as the audit trail names people."""
    entries = AuditEntry.objects.filter(stream=SOVEREIGN_STREAM).order_by("-seq")
    told = {"target": f"blueprint:{version.blueprint.name}", "detail__version": version.version}
    pushed = entries.filter(action="blueprint.drafted", **told)
    submitted = entries.filter(action="blueprint_version.submitted", target=f"blueprintversion:{version.pk}")
    last = [rows.values_list("actor", flat=True).first() for rows in (pushed, submitted)]
    return frozenset(filter(None, last))


def _change(version: BlueprintVersion, **values: Any) -> None:
    for name, value in values.items():
        setattr(version, name, value)
    version.save(update_fields=sorted(values))


def _illegal(version: BlueprintVersion) -> InvalidTransition:
    text = _("This cannot be done now: the version is “%(state)s”. Reload the page.")
    return InvalidTransition(text % {"state": version.get_state_display()})
