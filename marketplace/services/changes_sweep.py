"""What finds again every Change that nobody is driving: lost doorbells, dead workers, deadlines."""

from datetime import datetime
from typing import Any

import structlog
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from marketplace.models import ApplicationStatus, Change
from marketplace.selectors.installed import SETTLED, waiting_for
from marketplace.services import changes
from marketplace.services.changes_commit import commit_changes

log = structlog.get_logger(__name__)


def sweep_changes(*, owner: str, now: datetime) -> None:
    """Commit what waits, close what is ready, fail what is overdue. One broken Environment stops only itself."""
    waiting = Change.objects.filter(state=Change.State.COMMITTING, next_action_at__lte=Now())
    for environment_id in waiting.order_by("environment_id").values_list("environment_id", flat=True).distinct():
        try:
            commit_changes(environment_id=environment_id, owner=owner, now=now)
        except Exception:
            log.exception("changes_not_committed", environment=environment_id)
    settle_changes(now=now)


def settle_changes(*, now: datetime, environment_id: int | None = None) -> None:
    """Close the committed Changes that are ready; fail those that are not in time."""
    for change_id in changes.settleable(environment_id):
        if not changes.settle_change(change_id=change_id, now=now):
            _fail_overdue(change_id, now=now)


def _fail_overdue(change_id: Any, *, now: datetime) -> None:
    overdue = Change.objects.filter(pk=change_id, state=Change.State.RECONCILING, deadline_at__lte=now)
    change = overdue.first()
    if change is None:
        return
    late = _named(change)
    reason = _("Not ready in time: %(applications)s") % {"applications": late}
    if not late:
        reason = _("The Applications were removed before they were ready.")
    changes.fail_change(change_id=change.pk, reason=reason, now=now)


def _named(change: Change) -> str:
    """Name what a Change still waits for, with what the cluster said last of it."""
    slugs = waiting_for(change)
    rows = ApplicationStatus.objects.filter(environment_id=change.environment_id, application__in=slugs)
    said = {row.application: row for row in rows.exclude(status__in=SETTLED)}
    return ", ".join(f"{slug}: {_said(said[slug])}" if slug in said else slug for slug in slugs)


def _said(row: ApplicationStatus) -> str:
    return row.status_reason or row.get_status_display()
