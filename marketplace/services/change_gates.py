"""Changes that wait for people and for time: a yes from a person, and the sweep that opens what is open.

A yes belongs to one preview and dies with it; it counts while its giver holds a role that the policy names.
Source: docs/environment-policy.md.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

import structlog
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from catalyst.core.database import use_case
from catalyst.core.errors import DomainError
from marketplace.models import Change, ChangeApproval
from marketplace.services import changes, policies
from marketplace.services.policy_rules import ApprovalRule, PolicyRuleRefused
from tenancy.models import User
from tenancy.selectors.permissions import EMERGENCY_ROLES
from tenancy.services.audit import append_audit, organization_stream

log = structlog.get_logger(__name__)

#: How long a Change waits at most. The longest soak that a policy can ask for ends before.
LONGEST_WAIT: Final = timedelta(days=45)
#: At least so often every waiting Change is looked at: its base may move and a soak may break.
_LOOK_AGAIN: Final = timedelta(minutes=2)
_LONGEST_REASON: Final = 500


class ChangeNotWaiting(DomainError):
    """The Change does not wait for an approval, or not any more."""

    code = "change_not_waiting"
    status = HTTPStatus.CONFLICT


class PreviewReplaced(DomainError):
    """What was looked at is not what would happen; ``extra["preview"]`` is what is to be looked at."""

    code = "preview_replaced"
    status = HTTPStatus.CONFLICT


class OwnChange(DomainError):
    """Nobody approves what they asked for themselves."""

    code = "own_change"
    status = HTTPStatus.FORBIDDEN


class NotAnApprover(DomainError):
    """The policy names other roles."""

    code = "not_an_approver"
    status = HTTPStatus.FORBIDDEN


class EmergencyNeedsReason(DomainError):
    """An emergency is said in words."""

    code = "reason_required"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


@use_case
def approve_change(
    *,
    change_id: Any,
    preview_id: str,
    actor: User,
    is_emergency: bool = False,
    reason: str = "",
    now: datetime,
) -> ChangeApproval:
    """Say yes to a waiting Change as this preview shows it; the same yes again changes nothing.

    ``preview_id`` is empty for what a paid Order installs, which has none.
    With ``is_emergency`` the yes is to skip soak and window, for ``reason``, which the history shows. It is no
    approval: those are given besides.

    :raises ChangeNotWaiting: it waits no more. :raises PreviewReplaced: it is about another preview.
    :raises OwnChange: the person asked for it. :raises NotAnApprover: the policy names none of the person's roles.
    :raises EmergencyNeedsReason: it is not said why.
    """
    change = changes.lock_change(change_id)
    _check_asked(change, preview_id, actor)
    reason = reason.strip()[:_LONGEST_REASON] if is_emergency else ""
    if is_emergency and not reason:
        raise EmergencyNeedsReason(_("Say why this is an emergency."), pointer="/reason")
    role = _role_of(change, actor, is_emergency=is_emergency)
    approval, is_new = ChangeApproval.objects.get_or_create(
        change=change,
        approver=actor,
        is_emergency=is_emergency,
        defaults={
            "organization": change.organization,
            "preview_id": change.preview_id,
            "role": role,
            "reason": reason,
            "created_at": now,
        },
    )
    if is_new:
        _tell_approved(change, approval, actor)
    return approval


def _check_asked(change: Change, preview_id: str, actor: User) -> None:
    if change.state != Change.State.AWAITING_GATES:
        raise ChangeNotWaiting(_("This change does not wait for an approval any more."))
    if (change.preview_id or "") != preview_id:
        text = _("This is not what would happen. Look at the change again, then decide.")
        raise PreviewReplaced(text, pointer="/preview", extra={"preview": change.preview_id or ""})
    if change.author_id == actor.pk:
        raise OwnChange(_("You asked for this change yourself. Somebody else has to approve it."))


def _role_of(change: Change, actor: User, *, is_emergency: bool) -> str:
    """Return the first role that may, and that the person holds here now.

    :raises NotAnApprover: there is none.
    """
    named = EMERGENCY_ROLES if is_emergency else named_approvers(change)
    held = policies.live_roles(change.environment, [actor.pk]).get(actor.pk, set())
    role = next((each for each in named if each in held), None)
    if role is None:
        raise NotAnApprover(_("The policy of this Environment names other people as approvers. Ask one of them."))
    return role


def named_approvers(change: Change) -> tuple[str, ...]:
    """Return the roles that the policy names for an approval; none where it asks for no approval."""
    policy = policies.get_policy(change.environment)
    try:
        rules = policies.read_rules(change.environment, policy.rules) if policy else ()
    except PolicyRuleRefused:
        return ()
    return tuple(role for rule in rules if isinstance(rule, ApprovalRule) for role in rule.approvers)


def _tell_approved(change: Change, approval: ChangeApproval, actor: User) -> None:
    detail = {"preview": approval.preview_id, "role": approval.role, "is_emergency": approval.is_emergency}
    append_audit(
        stream=organization_stream(change.organization),
        actor=actor,
        action="change.approved",
        target=f"change:{change.pk}",
        detail={**detail, "reason": approval.reason},
    )
    changes.publish(change, "change.approved", times=approval.pk, role=approval.role, approval=approval.pk)
    # The sweep looks at it next.
    Change.objects.filter(pk=change.pk).update(next_action_at=Now())


def may_approve(change: Change, user: User, *, is_emergency: bool = False) -> bool:
    """Tell whether ``approve_change`` would take this person's yes now: for a button, never as a right."""
    if change.state != Change.State.AWAITING_GATES or change.author_id == user.pk:
        return False
    if change.approvals.filter(approver=user, is_emergency=is_emergency).exists():
        return False
    named: Collection[str] = EMERGENCY_ROLES if is_emergency else named_approvers(change)
    return bool(policies.live_roles(change.environment, [user.pk]).get(user.pk, set()).intersection(named))


def judge_change(change: Change, *, now: datetime) -> list[policies.Verdict]:
    """Return what the rules say of a recorded Change at this moment."""
    return policies.judge_policy(change.environment, policies.subject_of(change), now=now)


def advance_gates(*, now: datetime) -> int:
    """Look at every waiting Change whose time has come; return how many may be saved now."""
    due = Change.objects.filter(state=Change.State.AWAITING_GATES, next_action_at__lte=Now())
    opened = 0
    for change_id in list(due.order_by("next_action_at", "pk").values_list("pk", flat=True)):
        try:
            opened += advance_change(change_id=change_id, now=now)
        except Exception:
            # One broken Change stops only itself.
            log.exception("gates_not_judged", change=str(change_id), alarm=True)
    return opened


def advance_change(*, change_id: Any, now: datetime) -> bool:
    """Judge one waiting Change: save it when every rule passes, end it when it is stale, else note what is missing."""
    change = Change.objects.select_related("environment").get(pk=change_id)
    stale = _stale_reason(change, now=now) if change.state == Change.State.AWAITING_GATES else ""
    if stale:
        changes.supersede_change(change_id=change_id, reason=stale, now=now)
        return False
    return _open_or_note(change_id=change_id, now=now)


def _stale_reason(change: Change, *, now: datetime) -> str:
    """Return why a Change is not what was looked at. What was not looked at, a paid installation, never is stale."""
    if change.preview_id is None:
        return ""
    if change.base_commit != change.environment.head_commit:
        return _("Another change was saved first. Look at this one again, then apply it.")
    if change.created_at + LONGEST_WAIT <= now:
        return _("It has waited for too long. Look at it again, then apply it.")
    return ""


@use_case
def _open_or_note(*, change_id: Any, now: datetime) -> bool:
    change = changes.lock_change(change_id)
    if change.state != Change.State.AWAITING_GATES:
        return False
    subject = policies.subject_of(change)
    verdicts = policies.judge_policy(change.environment, subject, now=now)
    gates = [each.as_json() for each in verdicts]
    if all(each.outcome == policies.PASSES for each in verdicts):
        _open(change, subject, gates, now=now)
        return True
    ends = [each.until for each in verdicts if each.until is not None]
    Change.objects.filter(pk=change.pk).update(gates=gates, next_action_at=min([*ends, now + _LOOK_AGAIN]))
    return False


def _open(change: Change, subject: policies.PolicySubject, gates: list[dict[str, Any]], *, now: datetime) -> None:
    """Let a Change be saved, with a new deadline: the time it waited was not its own."""
    fields: dict[str, Any] = {"gates": gates, "deadline_at": now + changes.DEADLINE, "next_action_at": Now()}
    if policies.is_emergency_agreed(change.environment, subject):
        fields |= {"is_emergency": True, "reason": _emergency_reason(change)}
    changes.move(change, Change.State.COMMITTING, **fields)
    # A window may shut again before the commit: each opening is a fact of its own.
    times = int(now.timestamp() * 1_000_000)
    changes.publish(change, "change.gates_opened", times=times, gates=gates, is_emergency=change.is_emergency)


def _emergency_reason(change: Change) -> str:
    """Return why, the emergency first: the commit carries it, cut at its end."""
    said = change.approvals.filter(is_emergency=True).order_by("created_at", "pk").values_list("reason", flat=True)
    return "\n".join(line for line in (f"Emergency: {said[0]}", change.reason) if line)
