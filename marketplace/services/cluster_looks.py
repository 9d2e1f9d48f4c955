"""Look at every cluster by ourselves, everything anew each time, and less often while it does not answer.

Notifications only bring the next look forward; with none of them the system differs only in delay. A cluster that does
not answer costs its own Environments and nobody else's. Source: docs/delivery.md, "Looking for ourselves".
"""

from datetime import datetime, timedelta
from typing import Final

import structlog
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Least
from django.utils.translation import gettext as _

from catalyst.core import outbox
from catalyst.core.database import use_case
from catalyst.core.errors import NotFound, Unavailable
from marketplace.models import Application, ApplicationStatus, Change, ClusterLook, EnvironmentSummary
from marketplace.selectors.applications import get_application
from marketplace.selectors.cluster_age import UNSEEN_AFTER
from marketplace.selectors.installed import standing_applications
from marketplace.services.cluster_state import Reading, can_look, cluster_state_of
from marketplace.services.flux_observe import (
    NotRecordedYet,
    Observation,
    Word,
    note_gone,
    observe,
    publish_observation,
)
from tenancy.models import Environment, User
from tenancy.services.audit import append_audit, organization_stream

log = structlog.get_logger(__name__)

EVERY: Final = timedelta(seconds=30)
#: A message brings the next look forward, but not closer than this to the last one.
CLOSEST: Final = timedelta(seconds=5)
_LONGEST_PAUSE: Final = timedelta(minutes=5)
_BATCH: Final = 500
_ROOT: Final = "applications"
_LOST: Final = "Kustomization not found: somebody has deleted it in the cluster."
_Status = ApplicationStatus.Status


def look_at_clusters(*, now: datetime) -> int:
    """Look at every Environment whose time has come; return how many were seen."""
    if not can_look():
        return 0
    _plan_looks(now)
    due = ClusterLook.objects.filter(next_look_at__lte=now).exclude(environment__status=Environment.Status.DELETED)
    ids = list(due.order_by("next_look_at").values_list("pk", flat=True)[:_BATCH])
    return sum(look_at(environment_id=environment_id, now=now) for environment_id in ids)


def look_at(*, environment_id: int, now: datetime) -> bool:
    """Look at one Environment if its time has come and nobody else does; return whether its cluster was seen."""
    claimed = ClusterLook.objects.filter(pk=environment_id, next_look_at__lte=now).update(next_look_at=now + EVERY)
    environment = Environment.objects.select_related("organization").filter(pk=environment_id).first()
    if not claimed or environment is None:
        return False
    try:
        state = cluster_state_of(environment)
        reading = state.read(environment) if state else None
    except Unavailable as error:
        _miss(environment=environment, reason=error.message, now=now)
        return False
    except Exception as error:
        # An answer that nobody understands tells as little as none; it costs this Environment only.
        log.exception("cluster_look_failed", environment=environment.name)
        _miss(environment=environment, reason=f"{type(error).__name__}: {error}"[:500], now=now)
        return False
    if reading is None:
        return False
    _see(environment=environment, reading=reading, now=now)
    return True


def hint(*, environment_id: int) -> None:
    """Bring the next look at an Environment forward: somebody says that there is something to see."""
    soon = Coalesce(F("seen_at"), F("began_at")) + CLOSEST
    ClusterLook.objects.filter(pk=environment_id).update(next_look_at=Least(F("next_look_at"), soon))


def ask_again(*, environment: Environment, application: str, actor: User, now: datetime) -> ApplicationStatus:
    """Ask the cluster to try a failed Application again now; what comes of it is observed as ever.

    :raises NotFound: there is no such Application, or nobody can be asked.
    :raises Unavailable: the cluster does not answer now.
    """
    row = get_application(environment.organization, environment.env_type, application)
    state = cluster_state_of(environment)
    if row is None or state is None:
        raise NotFound(_("Not found."))
    # Asking twice is harmless, an answer under an open transaction is not.
    state.ask_again(environment, application, now=now)
    _record_asked(environment=environment, row=row, actor=actor)
    hint(environment_id=environment.pk)
    return row


@use_case
def _record_asked(*, environment: Environment, row: ApplicationStatus, actor: User) -> None:
    append_audit(
        stream=organization_stream(environment.organization),
        actor=actor,
        action="application.retried",
        target=f"environment:{environment.uuid}",
        detail={"application": row.application, "status": row.status},
    )


def _plan_looks(now: datetime) -> None:
    """Give every Environment that has a commit its row, so that a new one is looked at in the next sweep."""
    missing = Environment.objects.exclude(head_commit="").filter(cluster_look__isnull=True)
    rows = [ClusterLook(environment=each, next_look_at=now, began_at=now) for each in missing[:_BATCH]]
    # Two sweeps may plan at once: the key lets one in.
    ClusterLook.objects.bulk_create(rows, ignore_conflicts=True)


@use_case
def _see(*, environment: Environment, reading: Reading, now: datetime) -> None:
    """Publish what a look saw and the projection does not know, in one transaction."""
    look = ClusterLook.objects.select_for_update(no_key=True).get(pk=environment.pk)
    if look.seen_at is not None and reading.at <= look.seen_at:
        return  # a later look was faster
    known = {row.application: row for row in ApplicationStatus.objects.filter(environment_id=environment.pk)}
    cause = f"look:{environment.pk}:{reading.at.isoformat()}"
    for observation in [*_seen(environment, reading), *_absent(environment, reading)]:
        if observation.is_gone or _is_news(observation, known.get(observation.application)):
            publish_observation(environment, observation, at=reading.at, cause=cause)
    look.seen_at, look.failures, look.is_unseen, look.last_error = reading.at, 0, False, ""
    look.save(update_fields=["seen_at", "failures", "is_unseen", "last_error"])


def _seen(environment: Environment, reading: Reading) -> list[Observation]:
    found: list[Observation] = []
    for word in reading.words:
        try:
            found += observe(environment, word)
        except NotRecordedYet:
            continue  # the next look finds it recorded
    return found


def _absent(environment: Environment, reading: Reading) -> list[Observation]:
    """Return what is not there although the whole tree is applied: the removed, and what somebody took away by hand.

    The controller takes a Kustomization away only after all of its objects.
    """
    root = next((word for word in reading.words if word.name == _ROOT), None)
    seq = _applied_seq(environment, root) if root else None
    if root is None or seq is None:
        return []
    removed = Application.objects.filter(environment=environment, gone_at__isnull=True, removed_by__seq__lte=seq)
    rows = removed.exclude(Q(removed_by__commit="") | Q(change__commit="")).exclude(slug__in=reading.present)
    gone = [note_gone(row, at=reading.at) for row in rows.select_related("removed_by")]
    standing = [row for row in standing_applications(environment.pk) if row.change.commit]
    lost = [row for row in standing if row.slug not in reading.present and (row.change.seq or 0) <= seq]
    return [*gone, *(Observation(row.slug, _Status.FAILED, _LOST, root.revision[-40:], seq) for row in lost)]


def _applied_seq(environment: Environment, root: Word) -> int | None:
    if root.severity == "error" or root.reason != "ReconciliationSucceeded":
        return None
    sha = root.revision.removeprefix("main@sha1:")
    return Change.objects.filter(environment=environment, commit=sha).values_list("seq", flat=True).first()


def _is_news(seen: Observation, known: ApplicationStatus | None) -> bool:
    """Tell whether the projection does not say so already. That it is being looked at again is no news of what runs."""
    if known is None:
        return False
    if seen.status == _Status.INSTALLING and known.status in {_Status.READY, _Status.PAUSED, _Status.UPDATING}:
        return False
    is_moved = seen.status in {_Status.READY, _Status.PAUSED} and seen.commit != known.applied_commit
    told = (known.status, known.status_reason, known.ready, known.wanted)
    return is_moved or told != (seen.status, seen.status_reason, seen.ready, seen.wanted)


@use_case
def _miss(*, environment: Environment, reason: str, now: datetime) -> None:
    """Note a look that saw nothing; after five minutes without any word, tell that nothing is known."""
    look = ClusterLook.objects.select_for_update(no_key=True).get(pk=environment.pk)
    summary = EnvironmentSummary.objects.filter(pk=environment.pk).first()
    words = [look.seen_at, look.began_at, summary.observed_at if summary else None]
    last = max(moment for moment in words if moment is not None)
    is_unseen = now - last > UNSEEN_AFTER
    if is_unseen and not look.is_unseen:
        log.error("cluster_unseen", environment=environment.name, reason=reason, alarm=True)
        outbox.publish(
            topic="environment.unseen",
            key=f"environment.unseen:{environment.pk}:{int(now.timestamp() * 1_000_000)}",
            stream=organization_stream(environment.organization),
            payload={
                "environment": environment.name,
                "environment_id": environment.pk,
                "status": _Status.UNKNOWN,
                "observed_at": last.isoformat(),
            },
        )
    pause = min(EVERY * 2 ** min(look.failures, 8), _LONGEST_PAUSE)
    look.failures, look.is_unseen, look.last_error, look.next_look_at = (
        look.failures + 1,
        is_unseen,
        reason,
        now + pause,
    )
    look.save(update_fields=["failures", "is_unseen", "last_error", "next_look_at"])
