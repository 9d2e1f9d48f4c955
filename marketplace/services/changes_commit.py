"""One Change becomes one commit. Whatever dies on the way, the same call again makes the same commit, once.

Under the Environment's lease: sequence number, time and base are stored first, so the commit is determined; then
objects, then ``main`` by compare-and-swap, then the record. No Git call happens inside a transaction.
Source: docs/delivery.md; invariants I42 and I43 of the design.
"""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

import structlog
from django.db.models import F
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from catalyst.core.database import use_case
from catalyst.core.errors import DomainError, Unavailable
from catalyst.core.failpoints import fp
from catalyst.core.gitops.message import Person, build_message, parse_trailers, person
from catalyst.core.gitops.repository import BareRepository, BranchMoved, Commit, changes_between
from catalyst.core.incidents import open_incident
from marketplace.manifests.paths import ALLOWED_PATHS
from marketplace.models import Change
from marketplace.selectors.installed import EDITS
from marketplace.services import changes, policies
from marketplace.services.change_gates import judge_change
from marketplace.services.changes_desired import desired_applications, desired_files, texts_of
from marketplace.services.changes_lease import LeaseLost, lock_leased, release_lease, renew_lease, take_lease
from marketplace.services.changes_record import describe_commit, record_commit
from marketplace.services.changes_repository import repository_of
from tenancy.models import Environment
from tenancy.selectors.sovereign import get_sovereign

log = structlog.get_logger(__name__)

_LONGEST_PAUSE_SECONDS = 60


class PreviewStale(DomainError):
    """What was previewed is not what would be saved now; nothing is saved, and a person looks again."""

    code = "base_commit_moved"
    status = HTTPStatus.CONFLICT


class ForeignCommit(DomainError):
    """``main`` holds a commit that the platform did not make; nothing more is written until a person decides."""

    code = "foreign_commit"
    status = HTTPStatus.CONFLICT


def commit_changes(*, environment_id: int, owner: str, now: datetime) -> int:
    """Write the waiting Changes of one Environment, oldest first; return how many commits were recorded.

    When somebody else is writing there, nothing happens here: the other finds every Change that waits.
    """
    recorded = 0
    # Looked at again after the release: whoever came meanwhile saw the lease taken and went away.
    while _next_waiting(environment_id) and take_lease(environment_id=environment_id, owner=owner):
        try:
            while change := _next_waiting(environment_id):
                recorded += _drive(change, environment_id=environment_id, owner=owner, now=now)
        except LeaseLost:
            log.warning("lease_lost", environment=environment_id, owner=owner)
            return recorded
        except Exception:
            release_lease(environment_id=environment_id, owner=owner)
            raise
        release_lease(environment_id=environment_id, owner=owner)
    return recorded


def _next_waiting(environment_id: int) -> Change | None:
    """Return the Change whose turn it is, if its time has come. One that was begun is finished first."""
    waiting = Change.objects.filter(environment_id=environment_id, state=Change.State.COMMITTING)
    # In the order of the log: what was decided last is written last.
    turns = waiting.order_by(F("seq").asc(nulls_last=True), "log_sequence", "created_at", "pk")
    first = turns.values_list("pk", flat=True).first()
    return waiting.filter(pk=first, next_action_at__lte=Now()).first() if first else None


def _drive(change: Change, *, environment_id: int, owner: str, now: datetime) -> int:
    try:
        return _write(change.pk, environment_id=environment_id, owner=owner, now=now)
    except BranchMoved:
        return 0  # the next round looks at what stands there now
    except LeaseLost:
        raise
    except Unavailable as error:
        log.warning("change_postponed", change=str(change.pk), reason=error.code)
        _postpone(change, reason=error.message, now=now)
    except DomainError as error:
        # Whoever has lost the lease may have stumbled over what the next writer did, who decides then.
        renew_lease(environment_id=environment_id, owner=owner)
        end = changes.supersede_change if isinstance(error, PreviewStale) else changes.fail_change
        end(change_id=change.pk, reason=error.message, now=now)
    except Exception as error:
        _postpone(change, reason=type(error).__name__, now=now)
        raise
    return 0


def _postpone(change: Change, *, reason: str, now: datetime) -> None:
    pause = timedelta(seconds=min(2 ** (change.attempts + 1), _LONGEST_PAUSE_SECONDS))
    Change.objects.filter(pk=change.pk).update(attempts=F("attempts") + 1, next_action_at=Now() + pause)
    if change.deadline_at is not None and change.deadline_at <= now:
        # It is tried on and on, and nobody waits for it at a page: what should be paused or gone still runs.
        open_incident(kind="change_late", subject=changes.incident_subject(change), detail=reason)


def _write(change_id: Any, *, environment_id: int, owner: str, now: datetime) -> int:
    environment = Environment.objects.select_related("organization").get(pk=environment_id)
    repository = repository_of(environment)
    head = repository.head() or ""
    if head != environment.head_commit:
        return _adopt(repository, environment, head, owner=owner, now=now)
    change = _begin(change_id=change_id, environment_id=environment_id, owner=owner, now=now)
    if change is None:
        return 0
    sha = _write_objects(repository, environment, change)
    fp("install.commit.after_object")
    renew_lease(environment_id=environment_id, owner=owner)
    repository.update_branch(change.base_commit or None, sha)
    fp("install.push.after_push")
    return _record(repository, change, sha, owner=owner, now=now)


@use_case
def _begin(*, change_id: Any, environment_id: int, owner: str, now: datetime) -> Change | None:
    """Store everything that determines the commit before it is written; None when a gate has closed meanwhile.

    :raises LeaseLost: another writer has taken over.
    :raises DeadlinePassed: what a person asked for is too old to be begun. Anything else is late rather than never.
    :raises PreviewStale: it was previewed upon another commit.
    """
    environment = lock_leased(environment_id=environment_id, owner=owner)
    change = changes.lock_change(change_id)
    if change.preview is not None and change.preview.base_commit != environment.head_commit:
        raise PreviewStale(_("Another change was saved first. Look at it again."))
    if change.seq is None and _has_closed_gate(change, now=now):
        return None
    if change.deadline_at is not None and change.deadline_at <= now:
        if change.kind == Change.Kind.INSTALL or change.kind in EDITS:
            raise changes.DeadlinePassed(_("It could not be saved in time. Our staff have been told."))
        Change.objects.filter(pk=change.pk).update(deadline_at=now + changes.DEADLINE)
    if change.seq is None or change.base_commit != environment.head_commit:
        change.seq = environment.head_seq + 1
        change.base_commit = environment.head_commit
        change.committed_at = now.astimezone(UTC).replace(microsecond=0)
        change.save(update_fields=["seq", "base_commit", "committed_at"])
    return change


def _has_closed_gate(change: Change, *, now: datetime) -> bool:
    """Judge a Change that a person asked for at the moment of its commit: a window may be over, a role lost."""
    if change.kind != Change.Kind.INSTALL and change.kind not in EDITS:
        return False
    verdicts = judge_change(change, now=now)
    if all(each.outcome == policies.PASSES for each in verdicts):
        return False
    changes.move(change, Change.State.AWAITING_GATES, gates=[each.as_json() for each in verdicts], deadline_at=None)
    return True


def _write_objects(repository: BareRepository, environment: Environment, change: Change) -> str:
    """Write blobs, trees and the commit, on no branch yet; return its SHA."""
    base = repository.read_tree(change.base_commit) if change.base_commit else {}
    asked = change.preview.request if change.preview is not None else {}
    readme, owners = texts_of(base, readme=asked.get("readme"), code_owners=asked.get("code_owners"))
    target = desired_files(
        environment, desired_applications(environment, change=change), readme=readme, code_owners=owners
    )
    changed = changes_between(base, target)
    if change.target_tree:
        tree = repository.write_tree(change.base_commit or None, changed, allowed=ALLOWED_PATHS)
        if tree != change.target_tree:
            raise PreviewStale(_("It would not be saved as it was previewed. Look at it again."))
    assert change.committed_at is not None
    return repository.write_commit(
        change.base_commit or None,
        changed,
        allowed=ALLOWED_PATHS,
        author=_author(change),
        committer=_platform(),
        message=_message(change),
        when=change.committed_at,
    )


def _author(change: Change) -> Person:
    who = change.author
    if who is None:
        return _platform()
    return person(who.display_name, user_id=str(who.uuid), sovereign_domain=get_sovereign().domain)


def _platform() -> Person:
    return Person("Catalyst", f"catalyst@{get_sovereign().domain}")


def _message(change: Change) -> str:
    trailers = {
        "Catalyst-Change": str(change.pk),
        "Catalyst-Seq": str(change.seq),
        "Catalyst-Preview": change.preview_id or "",
        "Catalyst-Order": change.order_number,
        "Catalyst-Approved-By": _approvers(change),
        "Catalyst-Reverts": str(change.reverts_id or ""),
        "Catalyst-Promoted-From": change.promoted_from,
    }
    return build_message(change.summary, reason=change.reason, trailers=trailers)


def _approvers(change: Change) -> str:
    """Name who agreed, by the address that their commits have."""
    domain = get_sovereign().domain
    approvals = change.approvals.select_related("approver").order_by("created_at", "pk")
    people = [
        person(each.approver.display_name, user_id=str(each.approver.uuid), sovereign_domain=domain)
        for each in approvals
    ]
    return ", ".join(dict.fromkeys(f"{each.name} <{each.email}>" for each in people))


def _adopt(repository: BareRepository, environment: Environment, head: str, *, owner: str, now: datetime) -> int:
    """Record the commit of ours that a writer left on ``main`` when it died.

    :raises ForeignCommit: it is not ours.
    """
    top = next(repository.log_first_parent(head, limit=1)) if head else None
    change = _change_of(top, environment) if top else None
    if change is None:
        raise ForeignCommit(
            _("The repository of %(environment)s holds a commit that is not ours; writing stops until that is cleared.")
            % {"environment": environment.name}
        )
    return _record(repository, change, head, owner=owner, now=now)


def _change_of(commit: Commit, environment: Environment) -> Change | None:
    """Return the Change whose commit this is: named in its trailers, on our head, at the time that was stored."""
    trailers = parse_trailers(commit.message)
    base = tuple(filter(None, [environment.head_commit]))
    if commit.parents != base or trailers.get("Catalyst-Seq") != str(environment.head_seq + 1):
        return None
    written = {str(row.pk): row for row in Change.objects.filter(environment=environment, commit="")}
    change = written.get(trailers.get("Catalyst-Change", ""))
    if change is None or change.committed_at != commit.when or change.base_commit != environment.head_commit:
        return None
    change.seq = environment.head_seq + 1
    return change


def _record(repository: BareRepository, change: Change, sha: str, *, owner: str, now: datetime) -> int:
    assert change.seq is not None
    written = describe_commit(repository, sha=sha, base=change.base_commit, seq=change.seq)
    return int(
        record_commit(change_id=change.pk, environment_id=change.environment_id, owner=owner, written=written, now=now)
    )
