"""Look at a Change before it is made, then make exactly that or nothing.

A preview is bound to the commit it starts from and to the tree it would become. Applying plans anew: when anything
that counts has moved (base, tree, prices, policy), it is refused with a new preview. Page, API, pushes, promotions and
roll backs pass here. Source: gitops.md §6 of the design; docs/changes.md.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

from django.db.models import Max, Q
from django.utils.translation import gettext as _

from catalyst.core.database import use_case
from catalyst.core.errors import DomainError, NotFound
from catalyst.core.failpoints import fp
from marketplace.models import Application, Change, ChangePreview, Price
from marketplace.selectors.change_costs import buy
from marketplace.selectors.installed import is_change_waiting
from marketplace.services import changes, policies, preview_parts
from marketplace.services.edits import ChangeInProgress, EditPlan, check_calm, lock_environment, record_plan
from marketplace.services.planner import plan_change
from marketplace.services.planner_request import ChangeRequest, find_unstorable
from marketplace.services.planner_restore import RequestRefused
from marketplace.services.preview_look import Look, capacity_delta, cost_delta, look_at, subject_of_plan
from tenancy.models import Environment, User
from tenancy.services.audit import append_audit, organization_stream

#: For how long a preview can be applied while nothing that counts has moved.
PREVIEW_VALID: Final = timedelta(hours=24)
_OPEN_OUTCOMES: Final = frozenset({"needs", "waits"})
_ENDED = (Change.State.CANCELLED, Change.State.SUPERSEDED, Change.State.FAILED)


class BaseCommitMoved(DomainError):
    """The preview is no longer what would happen; ``extra["preview"]`` is the new one."""

    code = "base_commit_moved"
    status = HTTPStatus.CONFLICT


class PreviewHasProblems(DomainError):
    """The preview says itself why it cannot be applied."""

    code = "preview_has_problems"
    status = HTTPStatus.CONFLICT


class PolicyRefused(DomainError):
    """A rule of the Environment forbids the Change, and waiting does not help."""

    code = "policy_refused"
    status = HTTPStatus.FORBIDDEN


class InsufficientCredit(DomainError):
    """What the Change costs has to be paid first."""

    code = "insufficient_credit"
    status = HTTPStatus.PAYMENT_REQUIRED


def preview_change(
    *,
    environment: Environment,
    request: ChangeRequest,
    actor: User,
    reason: str = "",
    branch: str = "",
    is_strict: bool = False,
    now: datetime,
) -> ChangePreview:
    """Return what a request would do today, kept for ``apply_preview``; nothing else is written.

    ``is_strict``: what could not be applied is refused instead, and nothing at all is written.

    :raises NothingToChange: it is so already. :raises NotFound, Unresolvable, RangeRefused, RequestRefused: from
        ``plan_change``. :raises EnvironmentSuspended, ChangeInProgress: not now.
    :raises ForeignHead: somebody else wrote to the repository. :raises PreviewHasProblems: it is strict.
    """
    if (place := find_unstorable(request)) is not None:
        text = _("This holds a character or a number that cannot be stored, or is nested too deeply. Take it out.")
        raise RequestRefused(text, pointer=place)
    rows = check_calm(environment)
    look = look_at(environment, rows, request, actor=actor, is_strict=is_strict, now=now)
    if is_strict and look.plan.problems:
        problems = [each.as_json() for each in look.plan.problems]
        raise PreviewHasProblems(look.plan.problems[0].text, extra={"problems": problems})
    shown = _shown(environment, rows, look, actor=actor, now=now)
    key = _identity(environment, look, request, reason, pushed=[branch, request.pushed, actor.pk] if branch else [])
    fields = {"reason": reason, "branch": branch, "request": request.as_json(), "kind": look.plan.kind}
    return _keep(environment, key, actor, {"id": key, **shown}, target_tree=look.tree, fields=fields, now=now)


def _shown(
    environment: Environment, rows: list[Application], look: Look, *, actor: User, now: datetime
) -> dict[str, Any]:
    """Return the answer of the API, without its id."""
    cost = cost_delta(environment, look.plan, now=now)
    verdicts = policies.judge_policy(environment, subject_of_plan(look.plan, actor, ()), now=now)
    return {
        "base_commit": environment.head_commit,
        "kind": look.plan.kind,
        "summary": look.plan.summary,
        "lock_diff": preview_parts.lock_diff(look.plan),
        "manifest_diff": preview_parts.manifest_diff(look.before, look.after),
        "values_diff": preview_parts.values_diff(look.plan),
        "settings_diff": preview_parts.settings_diff(look.plan),
        "cost_delta": cost.as_json() if cost else None,
        "capacity": capacity_delta(environment, rows, look.plan),
        "policy": [each.as_json() for each in verdicts],
        "blast_radius": preview_parts.blast_radius(look.plan, rows),
        "data": preview_parts.data_lost(look.plan),
        "warnings": look.plan.warnings,
        "problems": [each.as_json() for each in look.plan.problems],
    }


def _identity(environment: Environment, look: Look, request: ChangeRequest, reason: str, *, pushed: list[Any]) -> str:
    """Return a hash over everything that decides what applying does."""
    identity = [
        environment.name,
        environment.head_commit,
        look.tree,
        sorted((each.code, each.pointer) for each in look.plan.problems),
        Price.objects.aggregate(newest=Max("pk"))["newest"],
        policies.policy_version(environment),
        [request.as_json(), reason],
        # Whoever pushed it is its author, whoever else asks for the same.
        pushed,
        # What was cancelled or replaced is looked at anew, also when it would be the same once more.
        Change.objects.filter(environment=environment, commit="", state__in=_ENDED).count(),
    ]
    return hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode()).hexdigest()


@use_case
def _keep(
    environment: Environment,
    key: str,
    actor: User,
    shown: Mapping[str, Any],
    *,
    target_tree: str,
    fields: Mapping[str, Any],
    now: datetime,
) -> ChangePreview:
    expires_at = now + PREVIEW_VALID
    row = ChangePreview(
        id=key,
        organization_id=environment.organization_id,
        environment=environment,
        author=actor,
        base_commit=environment.head_commit,
        target_tree=target_tree,
        summary=shown["summary"],
        shown={**shown, "expires_at": expires_at.isoformat()},
        created_at=now,
        expires_at=expires_at,
        **fields,
    )
    ChangePreview.objects.bulk_create([row], ignore_conflicts=True)
    ChangePreview.objects.filter(pk=key, state=ChangePreview.State.OPEN).update(expires_at=expires_at)
    return ChangePreview.objects.get(pk=key)


def get_preview(environment: Environment, preview_id: str) -> ChangePreview:
    """Return one preview of this Environment.

    :raises NotFound: there is none.
    """
    found = ChangePreview.objects.filter(environment=environment, pk=preview_id).select_related("author").first()
    if found is None:
        raise NotFound(_("Not found."))
    return found


def apply_preview(*, environment: Environment, preview_id: str, actor: User, now: datetime) -> Change:
    """Make the Change that a preview shows; the same preview again finds the same Change.

    It is saved in a moment, or waits in ``awaiting_gates`` while a rule of the Environment is not met yet.
    What it brings is bought first, from credit; the same preview buys once, whatever dies in between.

    :raises NotFound: there is no such preview.
    :raises BaseCommitMoved: it would do something else by now; with the new preview.
    :raises PreviewHasProblems: it says itself what stands in the way. :raises PolicyRefused: a rule forbids it.
    :raises InsufficientCredit: what it brings costs more than there is.
    :raises EnvironmentSuspended, ChangeInProgress, ForeignHead: not now.
    """
    stored = get_preview(environment, preview_id)
    if existing := Change.objects.filter(preview=stored).first():
        return existing
    request = ChangeRequest.from_json(stored.request)
    author = stored.author if stored.branch else actor
    fresh = preview_change(
        environment=environment, request=request, actor=author, reason=stored.reason, branch=stored.branch, now=now
    )
    if fresh.pk != stored.pk or stored.state != ChangePreview.State.OPEN:
        raise _moved(stored, fresh)
    if problems := fresh.shown["problems"]:
        raise PreviewHasProblems(problems[0]["detail"], extra={"problems": problems})
    if problems := _refused_by_policy(fresh):
        raise PolicyRefused(problems[0]["text"], extra={"policy": fresh.shown["policy"]})
    cost = fresh.shown["cost_delta"]
    number = _buy(environment, fresh, request, actor=actor, now=now) if cost and cost["is_sale"] else ""
    fp("change.apply.after_purchase")
    return _record(environment, fresh, request, author=author, actor=actor, order_number=number, now=now)


def _refused_by_policy(preview: ChangePreview) -> list[dict[str, Any]]:
    return [each for each in preview.shown["policy"] if each["outcome"] == policies.REFUSED]


def _buy(
    environment: Environment, preview: ChangePreview, request: ChangeRequest, *, actor: User, now: datetime
) -> str:
    """Buy what a person wants to have installed, with the settings that it is to have."""
    check_calm(environment)
    wished = [each for each in preview.shown["lock_diff"] if each["change"] == "added" and each["is_wish"]]
    bought: dict[str, dict[str, Any]] = {each["blueprint"]: {} for each in wished}
    bought |= {each.blueprint: dict(each.config) for each in request.install}
    return buy(environment, preview_id=preview.pk, blueprints=bought, actor=actor, now=now)


def take_paid(
    environment: Environment, *, preview_id: str, order_number: str, actor: User, now: datetime
) -> Change | None:
    """Record the Change of a preview that an Order has paid for; None when it is not what would happen any more.

    A step under the Environment's lock. Whoever comes first, the person's request or the Order's event, records it.
    """
    preview = ChangePreview.objects.filter(environment=environment, pk=preview_id).select_related("author").first()
    if preview is None or preview.base_commit != environment.head_commit or is_change_waiting(environment.pk):
        return None
    if existing := Change.objects.filter(preview=preview).first():
        return existing if existing.order_number == order_number else None
    request = ChangeRequest.from_json(preview.request)
    author = preview.author if preview.branch else actor
    return _write(environment, preview, request, author=author, actor=actor, order_number=order_number, now=now)


def _moved(stored: ChangePreview, fresh: ChangePreview) -> BaseCommitMoved:
    ChangePreview.objects.filter(pk=stored.pk, state=ChangePreview.State.OPEN).exclude(pk=fresh.pk).update(
        state=ChangePreview.State.SUPERSEDED
    )
    text = _("This Environment, its prices or its rules have changed since. Look at the new preview.")
    return BaseCommitMoved(text, extra={"preview": fresh.shown})


@use_case
def _record(
    environment: Environment,
    preview: ChangePreview,
    request: ChangeRequest,
    *,
    author: User,
    actor: User,
    order_number: str,
    now: datetime,
) -> Change:
    environment = lock_environment(environment)
    known = Q(preview=preview) | (Q(order_number=order_number) & ~Q(order_number=""))
    if existing := Change.objects.filter(known).first():
        return existing
    if environment.head_commit != preview.base_commit:
        raise ChangeInProgress(_("Another change was saved meanwhile. Look at the new preview."), retry_after=1)
    return _write(environment, preview, request, author=author, actor=actor, order_number=order_number, now=now)


def _write(
    environment: Environment,
    preview: ChangePreview,
    request: ChangeRequest,
    *,
    author: User,
    actor: User,
    order_number: str,
    now: datetime,
) -> Change:
    plan = plan_change(environment, check_calm(environment), request, actor=author, now=now)
    subject = subject_of_plan(plan, author, ())
    verdicts = policies.judge_policy(environment, subject, now=now)
    if refused := [each for each in verdicts if each.outcome == "refused"]:
        raise PolicyRefused(refused[0].text, extra={"policy": [each.as_json() for each in verdicts]})
    is_open = any(each.outcome in _OPEN_OUTCOMES for each in verdicts)
    ChangePreview.objects.filter(pk=preview.pk).update(state=ChangePreview.State.APPLIED)
    return record_plan(
        environment,
        EditPlan(plan.edits, plan.added, plan.rows, plan.summary),
        kind=plan.kind,
        actor=author,
        asked_by=actor,
        reason=preview.reason,
        now=now,
        key="",
        body=None,
        state=Change.State.AWAITING_GATES if is_open else Change.State.COMMITTING,
        deadline_at=None if is_open else now + changes.DEADLINE,
        preview=preview,
        target_tree=preview.target_tree,
        base_commit=preview.base_commit,
        reverts_id=plan.reverts or None,
        promoted_from=plan.promoted_from,
        order_number=order_number,
        gates=[each.as_json() for each in verdicts],
    )


@use_case
def cancel_change(*, change_id: Any, actor: User, now: datetime) -> Change:
    """Take back a Change that still waits for its gates.

    :raises InvalidTransition: it does not wait any more.
    """
    change = changes.lock_change(change_id)
    changes.move(change, Change.State.CANCELLED, finished_at=now, status_reason="")
    changes.withdraw(change)
    changes.publish(change, "change.cancelled", applications=[])
    append_audit(
        stream=organization_stream(change.organization),
        actor=actor,
        action="change.cancelled",
        target=f"change:{change.pk}",
        detail={},
    )
    return change
