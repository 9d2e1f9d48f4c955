"""How one Application is, with everything its card says: seen when, saved and applied, who needs it, last changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from marketplace.models import Application, ApplicationStatus, Change
from marketplace.selectors.change_history import last_change_of
from marketplace.selectors.cluster_age import last_seen, shown_status
from marketplace.selectors.installed import current_applications

#: Word that is older than this is shown as old.
FRESH_FOR: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Seen:
    """``status`` to show at a moment, ``at`` the newest word on it, and whether that is old by then."""

    status: str
    at: datetime | None
    is_old: bool


@dataclass(frozen=True, slots=True)
class ApplicationState:
    """``status`` is a key of the vocabulary. ``seen_at``: the newest word on it, None while nothing was heard.

    ``is_unapplied``: its newest commit is saved and the cluster has not said that it has it. ``needs`` maps the alias
    of a dependency to the Application behind it, ``needed_by`` are those bound to this one.
    """

    status: str
    reason: str
    ready: int | None
    wanted: int | None
    seen_at: datetime | None
    is_old: bool
    url: str
    commit: str
    applied_commit: str
    is_unapplied: bool
    needs: Mapping[str, str]
    needed_by: tuple[str, ...]
    last_change: Change | None


def get_state(application: Application, status: ApplicationStatus | None, *, now: datetime) -> ApplicationState:
    """Return how an Application is at ``now``; ``status`` is its row of the projection, None before there is one."""
    looked_at = last_seen(application.environment_id, observed_at=status.observed_at if status else None)
    seen_at = looked_at or (status.observed_at if status else None)
    key = status.status if status else ApplicationStatus.Status.INSTALLING
    commit, applied = (status.commit, status.applied_commit) if status else (application.change.commit, "")
    rows = current_applications(application.environment_id)
    return ApplicationState(
        status=shown_status(key, seen_at=looked_at, now=now),
        reason=status.status_reason if status and key != ApplicationStatus.Status.READY else "",
        ready=status.ready if status else None,
        wanted=status.wanted if status else None,
        seen_at=seen_at,
        is_old=seen_at is None or now - seen_at > FRESH_FOR,
        url=status.url if status else "",
        commit=commit,
        applied_commit=applied,
        is_unapplied=_is_unapplied(application.environment_id, commit, applied),
        needs=dict(sorted(application.bindings.items())),
        needed_by=tuple(row.slug for row in rows if application.slug in row.bindings.values()),
        last_change=last_change_of(application),
    )


def see_applications(rows: Sequence[ApplicationStatus], *, now: datetime) -> list[Seen]:
    """Return how each row looks at ``now``: one question for each Environment."""
    newest: dict[int, datetime | None] = {}
    for row in rows:
        at = newest.get(row.environment_id)
        newest[row.environment_id] = max(filter(None, (at, row.observed_at)), default=None)
    looked = {place: last_seen(place, observed_at=at) for place, at in newest.items()}
    seen = []
    for row in rows:
        at = looked[row.environment_id] or row.observed_at
        status = shown_status(row.status, seen_at=looked[row.environment_id], now=now)
        seen.append(Seen(status, at, at is None or now - at > FRESH_FOR))
    return seen


def _is_unapplied(environment_id: int, commit: str, applied: str) -> bool:
    """Tell whether what is applied is older than what is saved; a later commit holds an earlier one's wish too."""
    if not commit or commit == applied:
        return False
    changes = Change.objects.filter(environment_id=environment_id, commit__in=[commit, applied]).exclude(commit="")
    order = dict(changes.values_list("commit", "seq"))
    return (order.get(applied) or 0) < (order.get(commit) or 0)
