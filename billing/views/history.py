"""What happened in an Environment, in the console: the history, one Change, and the Environment as it was then.

Going back is a Change like any other: its buttons make a preview. Everything works without scripts.
"""

from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from billing.views.asked_changes import look_at_change, reason_of
from billing.views.carts import see_other
from billing.views.diffs import files_of
from billing.views.environment_door import EnvironmentVisit, of_environment
from billing.views.gates import gates_panel
from billing.views.panels import load_panels
from catalyst.core.errors import DomainError, NotFound
from marketplace.models import Change
from marketplace.selectors.change_history import list_history, list_ready, list_waiting, names_in, touched_by
from marketplace.selectors.changes import approvers_of, changed_files, get_change
from marketplace.services.change_previews import cancel_change
from marketplace.services.change_reading import RepositoryUnreadable, read_diff, read_past
from marketplace.services.changes import retry_change
from marketplace.services.planner_request import ChangeRequest
from tenancy.selectors.permissions import can

_PER_PAGE = 20
_MOST_WAITING = 20
_LONGEST_NAME = 53
#: A Change that only stops or starts everything has nothing of its own to take back.
_WHOLE = frozenset({Change.Kind.PAUSE, Change.Kind.RESUME, Change.Kind.OFFBOARD})
_AT_WORK = frozenset({Change.State.COMMITTING, Change.State.COMMITTED, Change.State.RECONCILING})


@require_safe
@of_environment("application.view")
def history(visit: EnvironmentVisit) -> HttpResponse:
    """List what happened, newest first; above it what waits for a person."""
    application = visit.request.GET.get("app", "")[:_LONGEST_NAME]
    before = _uuid(visit.request.GET.get("before", ""))
    panels = load_panels(
        {
            "names": lambda: names_in(visit.environment),
            "ready": lambda: list(list_ready(visit.environment, now=timezone.now())[:_MOST_WAITING]),
            "waiting": lambda: list(list_waiting(visit.environment)[:_MOST_WAITING]),
            "history": lambda: _page_of(visit, application, before),
        }
    )
    rows = panels.get("history", {}).get("rows", ())
    return visit.show_panels(
        "changes",
        **panels,
        chosen=application,
        is_later=before is not None,
        is_working=any(row["change"].state in _AT_WORK for row in rows),
    )


def _page_of(visit: EnvironmentVisit, application: str, before: UUID | None) -> dict[str, Any]:
    found = list(list_history(visit.environment, application=application, before=before)[: _PER_PAGE + 1])
    shown = found[:_PER_PAGE]
    touched = touched_by(shown)
    rows = [{"change": change, "touched": touched[change.pk], "approvers": approvers_of(change)} for change in shown]
    return {"rows": rows, "older": shown[-1].pk if len(found) > _PER_PAGE else None}


@require_safe
@of_environment("application.view")
def change_page(visit: EnvironmentVisit, change_id: UUID) -> HttpResponse:
    """Show one Change: who, why, what it touched, what it still needs, and what can be done about it."""
    change = _find(visit, change_id)
    panels = load_panels(
        {
            "gates": lambda: gates_panel(visit.request, change),
            "files": lambda: changed_files([change]).get(change.pk, []),
            "touched": lambda: touched_by([change])[change.pk],
        }
    )
    if "diff" in visit.request.GET:
        panels |= _diff(change, panels["broken"])
    return visit.show_panels(
        "change",
        **panels,
        change=change,
        approvers=approvers_of(change),
        is_working=change.state in _AT_WORK,
        is_head=change.commit == visit.environment.head_commit,
        undoes=bool(change.commit) and change.kind not in _WHOLE and visit.may("change.apply"),
        returns=bool(change.commit) and change.commit != visit.environment.head_commit and visit.may("change.apply"),
        cancels=change.state == Change.State.AWAITING_GATES and visit.may("change.apply"),
        retries=change.state == Change.State.FAILED and _may_retry(visit),
    )


def _diff(change: Change, broken: list[str]) -> dict[str, Any]:
    try:
        diff = read_diff(change)
    except RepositoryUnreadable:
        return {"broken": [*broken, "diff"]}
    return {"diff": files_of(diff), "more_files": diff["more_files"], "is_diff": True}


@require_POST
@of_environment("change.apply")
def cancel(visit: EnvironmentVisit, change_id: UUID) -> HttpResponse:
    """Take back a Change that still waits."""
    change = _find(visit, change_id)
    try:
        cancel_change(change_id=change.pk, actor=visit.person, now=timezone.now())
    except DomainError as error:
        messages.error(visit.request, error.message)
    else:
        messages.success(visit.request, _("It is cancelled. Nothing was changed."))
    return see_other(visit.address("console-history-change", change.pk))


@require_POST
@of_environment("application.view")
def retry(visit: EnvironmentVisit, change_id: UUID) -> HttpResponse:
    """Try a failed Change again."""
    if not _may_retry(visit):
        return visit.refuse()
    change = _find(visit, change_id)
    try:
        retry_change(change_id=change.pk, actor=visit.person, now=timezone.now())
    except DomainError as error:
        messages.error(visit.request, error.message)
    else:
        messages.success(visit.request, _("It is tried again. You see here how it goes."))
    return see_other(visit.address("console-history-change", change.pk))


@require_POST
@of_environment("change.preview")
def go_back(visit: EnvironmentVisit, change_id: UUID) -> HttpResponse:
    """Make a preview that takes back one Change, or everything after it."""
    change = _find(visit, change_id)
    back = visit.address("console-history-change", change.pk)
    if visit.request.POST.get("to") == "here":
        wanted = ChangeRequest(revert_to=change.commit or str(change.pk))
    else:
        wanted = ChangeRequest(revert=str(change.pk))
    return look_at_change(visit.request, visit.environment, wanted, back=back, reason=reason_of(visit.request))


@require_safe
@of_environment("application.view")
def as_of(visit: EnvironmentVisit, commit: str) -> HttpResponse:
    """Show the Environment as one commit left it."""
    try:
        past = read_past(visit.environment, commit)
    except NotFound:
        raise Http404 from None
    except RepositoryUnreadable:
        return visit.show("at", HTTPStatus.SERVICE_UNAVAILABLE, commit=commit, broken=["past"])
    return visit.show(
        "at",
        commit=commit,
        past=past,
        returns=not past.is_current and visit.may("change.apply"),
    )


def _may_retry(visit: EnvironmentVisit) -> bool:
    return visit.may("change.retry") or can(visit.person, "change.retry")


def _find(visit: EnvironmentVisit, change_id: UUID) -> Change:
    try:
        found = get_change(visit.organization, visit.environment.env_type, change_id)
    except NotFound:
        raise Http404 from None
    found.environment = visit.environment
    return found


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None
