"""The rules that an EnvironmentPolicy may hold, as data; whatever cannot be read is refused.

Source: docs/environment-policy.md.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError
from marketplace.services.policy_windows import Schedule, parse_cron, read_zone
from tenancy.selectors.permissions import ORGANIZATION_PERMISSIONS

APPROVALS, SOAK, WINDOW = "pr-required", "soak", "change-window"
MOST_APPROVALS: Final = 5
LONGEST_SOAK: Final = timedelta(days=30)
LONGEST_WINDOW: Final = timedelta(days=7)
#: Who can be named as approver.
APPROVER_ROLES: Final = ORGANIZATION_PERMISSIONS["change.approve"]
_DURATION = re.compile(r"([1-9][0-9]{0,5})([mhd])", re.ASCII)
_UNITS: Final = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


class PolicyRuleRefused(DomainError):
    """A rule cannot be read; ``pointer`` says where."""

    code = "policy_rule_refused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True)
class ApprovalRule:
    """So many people agree, who hold one of these roles and did not ask for the Change."""

    approvers: tuple[str, ...]
    min_approvals: int

    def as_json(self) -> dict[str, Any]:
        return {"kind": APPROVALS, "approvers": list(self.approvers), "minApprovals": self.min_approvals}


@dataclass(frozen=True, slots=True)
class SoakRule:
    """What comes has run in another Environment of the Organization, ready without a break, for so long."""

    source_environment: str
    duration: timedelta
    duration_text: str

    def as_json(self) -> dict[str, Any]:
        return {"kind": SOAK, "sourceEnvironment": self.source_environment, "duration": self.duration_text}


@dataclass(frozen=True, slots=True)
class WindowRule:
    """Commits happen while a window is open."""

    schedule: Schedule
    duration: timedelta
    duration_text: str
    zone: ZoneInfo

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": WINDOW,
            "cron": self.schedule.text,
            "duration": self.duration_text,
            "timeZone": self.zone.key,
        }


Rule = ApprovalRule | SoakRule | WindowRule


def parse_rules(data: Any, *, sources: Collection[str]) -> tuple[Rule, ...]:
    """Read the rules of a policy. ``sources`` are the names of the Organization's other Environments.

    :raises PolicyRuleRefused: one of them cannot be read, or there are two of one kind.
    """
    if not isinstance(data, list):
        raise PolicyRuleRefused(_("Send the rules as a list; an empty list means no rule."), pointer="/rules")
    rules: list[Rule] = []
    kinds: set[str] = set()
    for index, each in enumerate(data):
        pointer = f"/rules/{index}"
        kind = each.get("kind") if isinstance(each, dict) else None
        if not isinstance(kind, str) or kind not in _READERS:
            raise PolicyRuleRefused(
                _("There is no such rule. Use one of: %(kinds)s.") % {"kinds": ", ".join(_READERS)},
                pointer=f"{pointer}/kind",
            )
        if kind in kinds:
            raise PolicyRuleRefused(_("There is a rule of this kind already. Put both into one."), pointer=pointer)
        kinds.add(kind)
        fields, read = _READERS[kind]
        _check_fields(each, fields, pointer)
        rules.append(read(each, pointer, sources))
    return tuple(rules)


def _check_fields(rule: Mapping[str, Any], fields: Collection[str], pointer: str) -> None:
    for name in rule:
        if name != "kind" and name not in fields:
            raise PolicyRuleRefused(_("This rule has no such field. Remove it."), pointer=f"{pointer}/{name}")
    for name in fields:
        if name not in rule:
            raise PolicyRuleRefused(_("This rule needs this field. Add it."), pointer=f"{pointer}/{name}")


def _read_approvals(rule: Mapping[str, Any], pointer: str, _sources: Collection[str]) -> Rule:
    approvers, least = rule["approvers"], rule["minApprovals"]
    is_list = isinstance(approvers, list) and all(isinstance(each, str) for each in approvers)
    if (
        not is_list
        or not approvers
        or len(set(approvers)) != len(approvers)
        or not APPROVER_ROLES.issuperset(approvers)
    ):
        raise PolicyRuleRefused(
            _("Name who approves: one or more of %(roles)s, each once.") % {"roles": ", ".join(sorted(APPROVER_ROLES))},
            pointer=f"{pointer}/approvers",
        )
    if type(least) is not int or not 1 <= least <= MOST_APPROVALS:
        raise PolicyRuleRefused(
            _("Ask for 1 to %(most)d approvals.") % {"most": MOST_APPROVALS}, pointer=f"{pointer}/minApprovals"
        )
    return ApprovalRule(tuple(approvers), least)


def _read_soak(rule: Mapping[str, Any], pointer: str, sources: Collection[str]) -> Rule:
    source = rule["sourceEnvironment"]
    if not isinstance(source, str) or source not in sources:
        raise PolicyRuleRefused(
            _("Name another Environment of this Organization."), pointer=f"{pointer}/sourceEnvironment"
        )
    duration = _read_duration(rule["duration"], pointer, most=LONGEST_SOAK)
    return SoakRule(source, duration, rule["duration"])


def _read_window(rule: Mapping[str, Any], pointer: str, _sources: Collection[str]) -> Rule:
    cron, zone = rule["cron"], rule["timeZone"]
    try:
        schedule = parse_cron(cron) if isinstance(cron, str) else None
    except ValueError:
        schedule = None
    if schedule is None:
        raise PolicyRuleRefused(
            _("Write when it opens in five cron fields, for example 0 14 * * 2,4, on days that come."),
            pointer=f"{pointer}/cron",
        )
    try:
        known = read_zone(zone) if isinstance(zone, str) else None
    except ValueError:
        known = None
    if known is None:
        raise PolicyRuleRefused(
            _("Name a time zone of the IANA database, for example Asia/Muscat."), pointer=f"{pointer}/timeZone"
        )
    duration = _read_duration(rule["duration"], pointer, most=LONGEST_WINDOW)
    return WindowRule(schedule, duration, rule["duration"], known)


def _read_duration(text: Any, pointer: str, *, most: timedelta) -> timedelta:
    found = _DURATION.fullmatch(text) if isinstance(text, str) else None
    duration = int(found[1]) * _UNITS[found[2]] if found else None
    if duration is None or duration > most:
        raise PolicyRuleRefused(
            _("Write how long as a number and m, h or d, for example 72h, up to %(days)d days.") % {"days": most.days},
            pointer=f"{pointer}/duration",
        )
    return duration


_Reader = Callable[[Mapping[str, Any], str, Collection[str]], Rule]
_READERS: Final[Mapping[str, tuple[tuple[str, ...], _Reader]]] = {
    APPROVALS: (("approvers", "minApprovals"), _read_approvals),
    SOAK: (("sourceEnvironment", "duration"), _read_soak),
    WINDOW: (("cron", "duration", "timeZone"), _read_window),
}
