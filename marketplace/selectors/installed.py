"""Which Applications a Change is about, which it still waits for, and what the newest word on an Environment is.

"Newest" is by place in the event log: the events of one subscription follow each other there, and a later subscription
of the same Environment comes after the end of the earlier one. So news that arrives late is known to be old.
Source: docs/delivery.md.
"""

from collections.abc import Collection
from typing import Final

from django.db.models import Q, QuerySet

from marketplace.models import Application, ApplicationEdit, ApplicationStatus, Change

Kind = Change.Kind
#: What takes Applications away.
REMOVALS: Final = frozenset({Kind.REMOVE, Kind.OFFBOARD})
#: What makes something else of Applications that stand.
EDITS: Final = frozenset({Kind.UPGRADE, Kind.CONFIGURE, Kind.CHANGE, Kind.PROMOTE, Kind.REVERT, Kind.ADOPT})
#: What decides whether an Environment runs.
_STANDINGS: Final = (Kind.PAUSE, Kind.RESUME, Kind.OFFBOARD)
#: As the cluster says it of an Application that is as it should be.
SETTLED: Final = (ApplicationStatus.Status.READY, ApplicationStatus.Status.PAUSED)


def standing_applications(environment_id: int) -> QuerySet[Application]:
    """Return the Applications that no commit has removed, with their Changes; oldest first."""
    rows = Application.objects.filter(environment_id=environment_id)
    rows = rows.filter(Q(removed_by__isnull=True) | Q(removed_by__commit=""))
    return rows.select_related("blueprint_version__blueprint", "change", "removed_by").order_by("pk")


def current_applications(environment_id: int) -> QuerySet[Application]:
    """Return the Applications that are to stay: installed or on their way, and no removal of them planned.

    The files of their Blueprints, which may be megabytes, are not read with them.
    """
    rows = Application.objects.filter(environment_id=environment_id, removed_by__isnull=True)
    rows = rows.select_related("blueprint_version__blueprint", "change").order_by("slug")
    return rows.defer("blueprint_version__files")


def running_applications(organization_id: int, env_type: str) -> dict[str, str]:
    """Return the Blueprint of each Application that is to stay in one Environment, if there is one, by name."""
    rows = Application.objects.filter(organization=organization_id, environment__env_type=env_type, removed_by=None)
    return dict(rows.values_list("slug", "blueprint_version__blueprint__name"))


def applications_of(change: Change) -> QuerySet[Application]:
    """Return what a Change is about. One that pauses or resumes is about all that stood there before it.

    One that edits is about nothing before its commit: until then everything runs as before.
    """
    if change.kind in REMOVALS:
        return Application.objects.filter(removed_by=change).exclude(change__commit="").order_by("slug")
    rows = standing_applications(change.environment_id).order_by("slug")
    if change.kind == Kind.INSTALL:
        return rows.filter(change=change)
    if change.kind in EDITS:
        about = Q(change=change) | Q(pk__in=change.edits.values("application"))
        return rows.filter(about) if change.commit else rows.none()
    return rows.filter(change__seq__lt=change.seq).exclude(change__commit="") if change.commit else rows.none()


def waiting_for(change: Change) -> list[str]:
    """Return the names of the Applications that the cluster has not yet brought where this commit wants them.

    A later commit counts too: it holds what this one wanted, or something newer.
    """
    rows = list(applications_of(change))
    if change.kind in REMOVALS:
        return [row.slug for row in rows if row.gone_at is None]
    leaving = Application.objects.filter(removed_by=change, gone_at=None).order_by("slug")
    later = Change.objects.filter(environment_id=change.environment_id, seq__gte=change.seq).exclude(commit="")
    statuses = ApplicationStatus.objects.filter(environment_id=change.environment_id, status__in=SETTLED)
    applied = set(statuses.filter(applied_commit__in=later.values("commit")).values_list("application", flat=True))
    return [*(row.slug for row in rows if row.slug not in applied), *leaving.values_list("slug", flat=True)]


def is_suspended(environment_id: int) -> bool:
    """Tell whether the newest word is that nothing runs here."""
    newest = _standings(environment_id, _STANDINGS).order_by("-log_sequence").values_list("kind", flat=True).first()
    return newest == Kind.PAUSE


def is_change_waiting(environment_id: int) -> bool:
    """Tell whether a Change was decided here that is not committed yet."""
    return Change.objects.filter(environment_id=environment_id, state=Change.State.COMMITTING).exists()


def has_chosen_pause(application_id: int) -> bool:
    """Tell whether a person paused this Application by itself, and nobody resumed it since."""
    said = ApplicationEdit.objects.filter(application=application_id).exclude(state="").exclude(change__commit="")
    return said.order_by("-change__seq").values_list("state", flat=True).first() == Application.State.PAUSED


def newest_log_sequence(environment_id: int) -> int:
    """Return the place in the log of the newest word on an Environment, 0 when there is none."""
    newest = Change.objects.filter(environment_id=environment_id).order_by("-log_sequence")
    return newest.values_list("log_sequence", flat=True).first() or 0


def has_newer_standing(environment_id: int, log_sequence: int) -> bool:
    """Tell whether something younger decides whether this Environment runs."""
    return _standings(environment_id, _STANDINGS).filter(log_sequence__gt=log_sequence).exists()


def is_offboarded_since(environment_id: int, log_sequence: int) -> bool:
    """Tell whether the subscription ended after this place in the log."""
    return _standings(environment_id, [Kind.OFFBOARD]).filter(log_sequence__gt=log_sequence).exists()


def last_standing_seq(environment_id: int) -> int:
    """Return the number of the last commit that paused or resumed everything, 0 when there is none."""
    committed = _standings(environment_id, [Kind.PAUSE, Kind.RESUME]).exclude(commit="")
    return committed.order_by("-seq").values_list("seq", flat=True).first() or 0


def _standings(environment_id: int, kinds: Collection[str]) -> QuerySet[Change]:
    return Change.objects.filter(environment_id=environment_id, kind__in=kinds)
