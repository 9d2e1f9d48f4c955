"""Change the policy of an Environment: by the Sovereign, or by its Organization where the Sovereign lets it.

Source: docs/environment-policy.md.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from django.db.models.functions import Now
from django.utils.translation import gettext as _

from catalyst.core import outbox
from catalyst.core.database import use_case
from catalyst.core.errors import DomainError, PermissionRefused
from marketplace.models import Change, EnvironmentPolicy
from marketplace.services.edits import lock_environment
from marketplace.services.policies import REFUSED, Verdict, judge_rules, read_rules, subject_of
from tenancy.models import Environment, User
from tenancy.selectors.permissions import can
from tenancy.services.audit import append_audit, organization_stream


class PolicyChanged(DomainError):
    """Somebody saved the policy since it was read; ``extra["version"]`` is the one that stands."""

    code = "policy_changed"
    status = HTTPStatus.CONFLICT


@dataclass(frozen=True, slots=True)
class Affected:
    """A Change that waits, and what the rules would say of it before and after."""

    change: Change
    before: tuple[Verdict, ...]
    after: tuple[Verdict, ...]

    @property
    def is_refused(self) -> bool:
        return any(each.outcome == REFUSED for each in self.after)


def can_edit_policy(environment: Environment, user: User, policy: EnvironmentPolicy | None) -> bool:
    """Answer for the Sovereign's administrators, and for the Organization's own where that is delegated."""
    if can(user, "environment_policy.manage"):
        return True
    is_delegated = policy is not None and policy.is_delegated
    return is_delegated and can(user, "environment_policy.edit", environment.organization)


def check_policy_editor(environment: Environment, user: User) -> None:
    """Refuse whoever may not edit the rules of this Environment as they stand.

    :raises PermissionRefused: the person may not.
    """
    _check_right(environment, user, EnvironmentPolicy.objects.filter(environment=environment).first(), None)


@use_case
def save_policy(
    *,
    environment: Environment,
    rules: Any,
    actor: User,
    now: datetime,
    version: int | None = None,
    is_delegated: bool | None = None,
) -> EnvironmentPolicy:
    """Give an Environment these rules; what waits is judged by them at once. The same rules again change nothing.

    ``version`` is the one that the editor has read, 0 for none; None saves over whatever stands. ``is_delegated`` lets
    the Organization's administrators edit the rules too; None leaves that.

    :raises PermissionRefused: the person may not. :raises PolicyRuleRefused: a rule cannot be read.
    :raises PolicyChanged: somebody else saved meanwhile.
    """
    environment = lock_environment(environment)
    policy = EnvironmentPolicy.objects.filter(environment=environment).first()
    _check_right(environment, actor, policy, is_delegated)
    parsed = [rule.as_json() for rule in read_rules(environment, rules)]
    stands = policy.version if policy else 0
    if version is not None and version != stands:
        text = _("Somebody else changed this policy meanwhile. Read it again, then save.")
        raise PolicyChanged(text, pointer="/version", extra={"version": stands})
    before = {"rules": policy.rules, "is_delegated": policy.is_delegated} if policy else None
    delegated = is_delegated if is_delegated is not None else bool(policy and policy.is_delegated)
    after = {"rules": parsed, "is_delegated": delegated}
    if policy is not None and before == after:
        return policy
    policy = policy or EnvironmentPolicy(environment=environment, organization=environment.organization)
    policy.rules, policy.is_delegated, policy.version = parsed, delegated, stands + 1
    policy.updated_by, policy.updated_at = actor, now
    policy.save()
    _tell(environment, policy, actor, before=before, after=after)
    return policy


def _check_right(
    environment: Environment, actor: User, policy: EnvironmentPolicy | None, is_delegated: bool | None
) -> None:
    if not can_edit_policy(environment, actor, policy):
        raise PermissionRefused(_("The provider of this platform sets the policy of this Environment."))
    stands = bool(policy and policy.is_delegated)
    if is_delegated not in {None, stands} and not can(actor, "environment_policy.manage"):
        text = _("Only the provider of this platform says who may edit the policy.")
        raise PermissionRefused(text, pointer="/is_delegated")


def _tell(environment: Environment, policy: EnvironmentPolicy, actor: User, *, before: Any, after: Any) -> None:
    # Before the audit trail, whose end whoever approves one of them locks after it.
    waiting_changes(environment).update(next_action_at=Now())
    stream = organization_stream(environment.organization)
    append_audit(
        stream=stream,
        actor=actor,
        action="environment_policy.saved",
        target=f"environment:{environment.uuid}",
        detail={"version": policy.version, "before": before, "after": after},
    )
    outbox.publish(
        topic="policy.changed",
        key=f"policy.changed:{environment.pk}:{policy.version}",
        stream=stream,
        payload={
            "environment": environment.name,
            "environment_id": environment.pk,
            "version": policy.version,
            "status": "changed",
        },
    )


def waiting_changes(environment: Environment) -> Any:
    """Return the Changes of an Environment that wait for its rules, oldest first."""
    waiting = Change.objects.filter(environment=environment, state=Change.State.AWAITING_GATES)
    return waiting.select_related("author", "preview").order_by("created_at", "pk")


def preview_policy(environment: Environment, rules: Any, *, now: datetime) -> list[Affected]:
    """Return the waiting Changes of which these rules say something else than those that stand; nothing is written.

    :raises PolicyRuleRefused: a rule cannot be read.
    """
    parsed = [rule.as_json() for rule in read_rules(environment, rules)]
    stands = EnvironmentPolicy.objects.filter(environment=environment).values_list("rules", flat=True).first()
    affected = []
    for change in waiting_changes(environment):
        subject = subject_of(change)
        before = judge_rules(environment, stands if stands is not None else [], subject, now=now)
        after = judge_rules(environment, parsed, subject, now=now)
        if _outcomes(before) != _outcomes(after):
            affected.append(Affected(change, tuple(before), tuple(after)))
    return affected


def _outcomes(verdicts: Iterable[Verdict]) -> list[tuple[str, str, Any, int]]:
    return sorted((each.kind, each.outcome, str(each.until), each.missing) for each in verdicts)
