"""What a rule of a policy asks, as a sentence for people."""

import re
from datetime import datetime
from typing import Final

from django.utils.dates import WEEKDAYS
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from marketplace.services.policies import in_words
from marketplace.services.policy_rules import ApprovalRule, Rule, SoakRule, WindowRule
from marketplace.services.policy_windows import next_window
from tenancy.models import Membership

_EVERY_DAY: Final = 7


def describe_rule(rule: Rule, *, now: datetime) -> str:
    """Return what one rule asks; of a window also when it opens next."""
    if isinstance(rule, ApprovalRule):
        return _describe_approvals(rule)
    if isinstance(rule, SoakRule):
        text = _("What comes has to run in %(source)s for %(duration)s first, ready without a break.")
        return text % {"source": rule.source_environment, "duration": _duration(rule.duration_text)}
    return _describe_window(rule, now=now)


def _describe_approvals(rule: ApprovalRule) -> str:
    names = dict(Membership.Role.choices)
    text = ngettext(
        "%(count)d person other than the author has to approve. Who may: %(roles)s.",
        "%(count)d people other than the author have to approve. Who may: %(roles)s.",
        rule.min_approvals,
    )
    return text % {"count": rule.min_approvals, "roles": ", ".join(str(names[role]) for role in rule.approvers)}


def _describe_window(rule: WindowRule, *, now: datetime) -> str:
    schedule = rule.schedule
    words = {
        "duration": _duration(rule.duration_text),
        "zone": rule.zone.key,
        "cron": schedule.text,
        "next": in_words(next_window(schedule, rule.duration, rule.zone, now).begins_at),
    }
    minute, hour, *rest = schedule.text.split()
    if not (minute.isdigit() and hour.isdigit() and rest[:2] == ["*", "*"]):
        text = _("Changes are made in windows of %(duration)s that open at %(cron)s (%(zone)s). The next: %(next)s.")
        return text % words
    words["time"] = f"{int(hour):02}:{int(minute):02}"
    if schedule.weekdays is None or len(schedule.weekdays) == _EVERY_DAY:
        text = _("Changes are made every day from %(time)s for %(duration)s (%(zone)s). The next: %(next)s.")
        return text % words
    words["days"] = ", ".join(str(WEEKDAYS[(day - 1) % 7]) for day in sorted(schedule.weekdays))
    text = _("Changes are made on %(days)s from %(time)s for %(duration)s (%(zone)s). The next: %(next)s.")
    return text % words


def _duration(text: str) -> str:
    found = re.fullmatch(r"(\d+)([mhd])", text)
    assert found is not None
    count = int(found[1])
    if found[2] == "m":
        words = ngettext("%(count)d minute", "%(count)d minutes", count)
    elif found[2] == "h":
        words = ngettext("%(count)d hour", "%(count)d hours", count)
    else:
        words = ngettext("%(count)d day", "%(count)d days", count)
    return words % {"count": count}
