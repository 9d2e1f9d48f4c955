"""Judge a Change by the policy of its Environment: each rule passes, needs people, waits, or refuses.

Asked by the preview, on apply, by the sweep of what waits, and once more when the commit is written.
Source: docs/environment-policy.md.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Q
from django.utils import formats, timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from marketplace.models import Application, Change, ChangeApproval, EnvironmentPolicy, ReadySpan
from marketplace.services.policy_rules import (
    ApprovalRule,
    PolicyRuleRefused,
    Rule,
    SoakRule,
    WindowRule,
    parse_rules,
)
from marketplace.services.policy_windows import next_window, open_window
from tenancy.models import Environment, Membership
from tenancy.selectors.permissions import EMERGENCY_ROLES

PASSES: Final = "passes"
NEEDS: Final = "needs"
WAITS: Final = "waits"
REFUSED: Final = "refused"
#: The verdict about a policy that nobody can read.
UNREADABLE: Final = "policy"
_DIGEST_SHOWN: Final = len("sha256:") + 12


@dataclass(frozen=True, slots=True)
class Approval:
    """One person's yes. ``role`` is the one they gave it in; what counts is what they hold when it is judged."""

    user_id: int
    role: str
    is_emergency: bool = False


@dataclass(frozen=True, slots=True)
class PolicySubject:
    """What is judged. ``digests`` are those of what is new or moves; ``author_id`` is who asked, also by a push."""

    author_id: int | None
    approvals: tuple[Approval, ...]
    digests: frozenset[str]
    kind: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one rule says. ``until`` is when waiting ends, where that is known; ``missing`` counts approvals."""

    kind: str
    outcome: str
    text: str
    until: datetime | None = None
    missing: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return the form in which a Change keeps its gates and the API shows them."""
        return {
            "kind": self.kind,
            "outcome": self.outcome,
            "text": self.text,
            "until": self.until.isoformat() if self.until else None,
            "missing": self.missing,
        }


def policy_version(environment: Environment) -> str:
    """Return what changes whenever the rules do; empty where there is no policy."""
    found = EnvironmentPolicy.objects.filter(environment=environment).values_list("version", flat=True).first()
    return "" if found is None else str(found)


def get_policy(environment: Environment) -> EnvironmentPolicy | None:
    return EnvironmentPolicy.objects.filter(environment=environment).select_related("updated_by").first()


def judge_policy(environment: Environment, subject: PolicySubject, *, now: datetime) -> list[Verdict]:
    """Judge by the rules as they are now; nothing where there is no policy. A policy nobody can read refuses."""
    policy = get_policy(environment)
    return judge_rules(environment, policy.rules, subject, now=now) if policy else []


def judge_rules(environment: Environment, data: Any, subject: PolicySubject, *, now: datetime) -> list[Verdict]:
    """Judge by these rules, saved or not."""
    try:
        rules = read_rules(environment, data)
    except PolicyRuleRefused:
        text = _(
            "The policy of this Environment cannot be read, so nothing is changed. Ask an administrator to mend it."
        )
        return [Verdict(UNREADABLE, REFUSED, text)]
    if not rules:
        return []
    roles = _roles_now(environment, subject)
    is_skipped = _is_emergency(subject, roles)
    return [_judge(rule, environment, subject, roles, is_skipped=is_skipped, now=now) for rule in rules]


def read_rules(environment: Environment, data: Any) -> tuple[Rule, ...]:
    """Read rules for one Environment.

    :raises PolicyRuleRefused: one of them cannot be read.
    """
    return parse_rules(data, sources=source_names(environment))


def source_names(environment: Environment) -> list[str]:
    """Return the other Environments of the Organization by name: where things may have to run first."""
    others = Environment.objects.filter(organization=environment.organization_id).exclude(pk=environment.pk)
    return list(others.order_by("name").values_list("name", flat=True))


def subject_of(change: Change) -> PolicySubject:
    """Return what a recorded Change is judged by."""
    edits = change.edits.filter(removes=False).select_related("application", "blueprint_version")
    moved = {edit.blueprint_version for edit in edits if _brings_bytes(edit)}
    new = Application.objects.filter(change=change).values_list("blueprint_version__digest", flat=True)
    rows = ChangeApproval.objects.filter(change=change, preview=change.preview_id).order_by("created_at", "pk")
    return PolicySubject(
        author_id=change.author_id,
        approvals=tuple(Approval(row.approver_id, row.role, row.is_emergency) for row in rows),
        digests=frozenset({*new, *(version.digest for version in moved)}),
        kind=change.kind,
    )


def _brings_bytes(edit: Any) -> bool:
    return bool(edit.blueprint_version_id != edit.application.blueprint_version_id)


def is_emergency_agreed(environment: Environment, subject: PolicySubject) -> bool:
    """Tell whether two people, in the two roles that may, have agreed that soak and window are skipped."""
    return _is_emergency(subject, _roles_now(environment, subject))


def live_roles(environment: Environment, user_ids: Iterable[int]) -> dict[int, set[str]]:
    """Return the roles that these people hold now and that reach this Environment, by person."""
    reaches = Q(env_types__isnull=True) | Q(env_types__contains=[environment.env_type])
    members = Membership.objects.live().filter(reaches, organization=environment.organization_id)
    rows = members.filter(user__in=set(user_ids), user__is_active=True).values_list("user_id", "role")
    roles: dict[int, set[str]] = {}
    for user_id, role in rows:
        roles.setdefault(user_id, set()).add(role)
    return roles


def _roles_now(environment: Environment, subject: PolicySubject) -> dict[int, set[str]]:
    """Return the roles of who agreed, without whoever asked for the Change."""
    people = {approval.user_id for approval in subject.approvals} - {subject.author_id}
    return live_roles(environment, (each for each in people if each is not None)) if people else {}


def _is_emergency(subject: PolicySubject, roles: Mapping[int, set[str]]) -> bool:
    agreed = {approval.user_id for approval in subject.approvals if approval.is_emergency}
    first, second = ({user for user in agreed if role in roles.get(user, ())} for role in EMERGENCY_ROLES)
    return any(one != other for one in first for other in second)


def _judge(
    rule: Rule,
    environment: Environment,
    subject: PolicySubject,
    roles: Mapping[int, set[str]],
    *,
    is_skipped: bool,
    now: datetime,
) -> Verdict:
    if isinstance(rule, ApprovalRule):
        return _judge_approvals(rule, subject, roles)
    kind = rule.as_json()["kind"]
    if is_skipped:
        text = _("Skipped: an administrator and a security officer have agreed that this is an emergency.")
        return Verdict(kind, PASSES, text)
    if isinstance(rule, SoakRule):
        return _judge_soak(rule, environment, subject, now=now)
    return _judge_window(rule, now=now)


def _judge_approvals(rule: ApprovalRule, subject: PolicySubject, roles: Mapping[int, set[str]]) -> Verdict:
    agreed = {each.user_id for each in subject.approvals if not each.is_emergency}
    count = sum(1 for user in agreed if roles.get(user, set()).intersection(rule.approvers))
    missing = max(rule.min_approvals - count, 0)
    kind = rule.as_json()["kind"]
    if not missing:
        return Verdict(kind, PASSES, _("Approved."))
    names = dict(Membership.Role.choices)
    text = ngettext(
        "%(count)d more approval is needed. Who may give it: %(roles)s. Nobody approves their own change.",
        "%(count)d more approvals are needed. Who may give them: %(roles)s. Nobody approves their own change.",
        missing,
    )
    words = {"count": missing, "roles": ", ".join(str(names[role]) for role in rule.approvers)}
    return Verdict(kind, NEEDS, text % words, missing=missing)


def _judge_soak(rule: SoakRule, environment: Environment, subject: PolicySubject, *, now: datetime) -> Verdict:
    kind = rule.as_json()["kind"]
    source = rule.source_environment
    running = _running(environment.organization_id, source, subject.digests)
    absent = sorted(subject.digests - set(running))
    if absent:
        text = _("%(version)s does not run in %(source)s. Install it there first.")
        words = {"version": _title(absent[0], environment.organization_id), "source": source}
        return Verdict(kind, REFUSED, text % words)
    broken = sorted(title for title, since in running.values() if since is None)
    if broken:
        text = _("%(version)s is not ready in %(source)s. The time starts when it is.")
        return Verdict(kind, WAITS, text % {"version": broken[0], "source": source})
    until = max((since for _title_, since in running.values() if since is not None), default=now) + rule.duration
    if not running or until <= now:
        return Verdict(kind, PASSES, _("It has run in %(source)s for long enough.") % {"source": source})
    text = _("It has to run in %(source)s without a break until %(until)s.")
    return Verdict(kind, WAITS, text % {"source": source, "until": in_words(until)}, until=until)


def _running(organization_id: int, source: str, digests: frozenset[str]) -> dict[str, tuple[str, datetime | None]]:
    """Return what runs in the source Environment, by digest: its name with version, and since when it is ready.

    The span must be of the version that stands on ``main``: what is not folded yet is not believed.
    """
    rows = Application.objects.filter(
        organization=organization_id,
        environment__name=source,
        removed_by__isnull=True,
        blueprint_version__digest__in=digests,
    ).exclude(change__commit="")
    found = list(rows.select_related("blueprint_version__blueprint").defer("blueprint_version__files"))
    environment_ids = {row.environment_id for row in found}
    spans = {span.application: span for span in ReadySpan.objects.filter(environment_id__in=environment_ids)}
    running: dict[str, tuple[str, datetime | None]] = {}
    for row in found:
        version, span = row.blueprint_version, spans.get(row.slug)
        is_same = span is not None and (span.blueprint, span.version) == (version.blueprint.name, version.version)
        since = span.ready_since if span is not None and is_same else None
        known = running.get(version.digest)
        # Of two Applications of one version the one that is ready for longer counts.
        if known is None or known[1] is None or (since is not None and since < known[1]):
            running[version.digest] = (f"{version.blueprint.name} {version.version}", since)
    return running


def _title(digest: str, organization_id: int) -> str:
    rows = Application.objects.filter(organization=organization_id, blueprint_version__digest=digest)
    found = rows.values_list("blueprint_version__blueprint__name", "blueprint_version__version").first()
    return " ".join(found) if found else digest[:_DIGEST_SHOWN]


def _judge_window(rule: WindowRule, *, now: datetime) -> Verdict:
    kind = rule.as_json()["kind"]
    opening = open_window(rule.schedule, rule.duration, rule.zone, now)
    if opening is not None:
        text = _("The change window is open until %(until)s.") % {"until": in_words(opening.ends_at)}
        return Verdict(kind, PASSES, text)
    begins_at = next_window(rule.schedule, rule.duration, rule.zone, now).begins_at
    text = _("The next change window opens at %(until)s.") % {"until": in_words(begins_at)}
    return Verdict(kind, WAITS, text, until=begins_at)


def in_words(at: datetime) -> str:
    """Return a moment as pages write it, to the minute and never too early."""
    local = timezone.localtime(at)
    minute = local.replace(second=0, microsecond=0)
    return formats.date_format(minute if minute == local else minute + timedelta(minutes=1), "DATETIME_FORMAT")
