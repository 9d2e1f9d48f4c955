"""Rules of a policy are read strictly, and windows open and shut by the second, also where clocks change."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from marketplace.services.policy_rules import PolicyRuleRefused, parse_rules
from marketplace.services.policy_windows import next_window, open_window, parse_cron, read_zone

APPROVALS = {"kind": "pr-required", "approvers": ["security-officer", "org-admin"], "minApprovals": 2}
SOAK = {"kind": "soak", "sourceEnvironment": "acme-stg", "duration": "72h"}
WINDOW = {"kind": "change-window", "cron": "0 14 * * 2,4", "duration": "2h", "timeZone": "Asia/Muscat"}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def is_open(cron: str, hours: float, zone: str, moment: str) -> bool:
    return open_window(parse_cron(cron), timedelta(hours=hours), read_zone(zone), at(moment)) is not None


def test_reads_what_it_writes() -> None:
    rules = parse_rules([APPROVALS, SOAK, WINDOW], sources=["acme-stg"])

    assert [rule.as_json() for rule in rules] == [APPROVALS, SOAK, WINDOW]


@pytest.mark.parametrize(
    ("rules", "pointer"),
    [
        ({}, "/rules"),
        (None, "/rules"),
        ([[]], "/rules/0/kind"),
        ([{"kind": "score"}], "/rules/0/kind"),
        ([{"kind": ["soak"]}], "/rules/0/kind"),
        ([APPROVALS, APPROVALS], "/rules/1"),
        ([{**APPROVALS, "note": "x"}], "/rules/0/note"),
        ([{"kind": "soak", "duration": "1h"}], "/rules/0/sourceEnvironment"),
        ([{**APPROVALS, "approvers": []}], "/rules/0/approvers"),
        ([{**APPROVALS, "approvers": "org-admin"}], "/rules/0/approvers"),
        ([{**APPROVALS, "approvers": ["org-viewer"]}], "/rules/0/approvers"),
        ([{**APPROVALS, "approvers": ["org-admin", "org-admin"]}], "/rules/0/approvers"),
        ([{**APPROVALS, "minApprovals": 0}], "/rules/0/minApprovals"),
        ([{**APPROVALS, "minApprovals": True}], "/rules/0/minApprovals"),
        ([{**APPROVALS, "minApprovals": "2"}], "/rules/0/minApprovals"),
        ([{**SOAK, "sourceEnvironment": "globex-stg"}], "/rules/0/sourceEnvironment"),
        ([{**SOAK, "sourceEnvironment": ["acme-stg"]}], "/rules/0/sourceEnvironment"),
        ([{**SOAK, "duration": "72"}], "/rules/0/duration"),
        ([{**SOAK, "duration": "0h"}], "/rules/0/duration"),
        ([{**SOAK, "duration": "1h30m"}], "/rules/0/duration"),
        ([{**SOAK, "duration": "31d"}], "/rules/0/duration"),
        ([{**SOAK, "duration": 72}], "/rules/0/duration"),
        ([APPROVALS, {**WINDOW, "cron": "@daily"}], "/rules/1/cron"),
        ([{**WINDOW, "cron": "0 0 30 2 *"}], "/rules/0/cron"),
        ([{**WINDOW, "cron": None}], "/rules/0/cron"),
        ([{**WINDOW, "timeZone": "Mars/Olympus"}], "/rules/0/timeZone"),
        ([{**WINDOW, "timeZone": "../../etc/localtime"}], "/rules/0/timeZone"),
        ([{**WINDOW, "duration": "8d"}], "/rules/0/duration"),
    ],
)
def test_refuses_what_cannot_be_read(rules: Any, pointer: str) -> None:
    with pytest.raises(PolicyRuleRefused) as refused:
        parse_rules(rules, sources=["acme-stg"])

    assert refused.value.pointer == pointer


UNREADABLE = """
* * * *|* * * * * *|60 * * * *|* 24 * * *|* * 0 * *|* * * 13 *|* * * * 8|5-1 * * * *|*/0 * * * *|1- * * * *|a * * * *
0 0 ² * *|*-3 * * * *|0 0 31 4,6 *|1,,2 * * * *|-1 * * * *
"""


@pytest.mark.parametrize("cron", ["", *UNREADABLE.strip().replace("\n", "|").split("|")])
def test_refuses_a_cron_that_says_nothing(cron: str) -> None:
    with pytest.raises(ValueError, match=r"^"):
        parse_cron(cron)


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-11-24T09:59:59", False),
        ("2026-11-24T10:00:00", True),
        ("2026-11-24T11:59:59", True),
        ("2026-11-24T12:00:00", False),
        ("2026-11-25T10:00:00", False),
    ],
)
def test_a_window_opens_and_shuts_by_the_second(moment: str, expected: bool) -> None:
    assert is_open("0 14 * * 2,4", 2, "Asia/Muscat", moment) is expected


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        # Berlin, 29 March 2026: 02:30 does not exist, the clock goes from 02:00 to 03:00. It opens at 03:30.
        ("2026-03-29T01:29:59", False),
        ("2026-03-29T01:30:00", True),
        ("2026-03-29T02:29:59", True),
        ("2026-03-29T02:30:00", False),
        # 25 October 2026: 02:30 comes twice. It opens the first time only.
        ("2026-10-25T00:30:00", True),
        ("2026-10-25T01:29:59", True),
        ("2026-10-25T01:30:00", False),
        ("2026-10-25T01:31:00", False),
    ],
)
def test_a_window_where_the_clock_changes(moment: str, expected: bool) -> None:
    assert is_open("30 2 * * *", 1, "Europe/Berlin", moment) is expected


def test_a_window_lasts_over_midnight_and_over_a_change_of_the_clock() -> None:
    opening = open_window(
        parse_cron("0 23 * * sat"), timedelta(hours=6), read_zone("Europe/Berlin"), at("2026-03-29T03:59:59")
    )

    assert opening is not None
    assert (opening.begins_at, opening.ends_at) == (at("2026-03-28T22:00:00"), at("2026-03-29T04:00:00"))


@pytest.mark.parametrize(
    ("cron", "begins_at"),
    [
        ("0 14 * * 2,4", "2026-11-26T10:00:00"),
        ("*/15 9-17 * jan-mar mon-fri", "2027-01-01T05:00:00"),
        ("0 0 29 2 *", "2028-02-28T20:00:00"),
        ("0 0 13 * 5", "2026-11-26T20:00:00"),
        ("0 0 * * 7", "2026-11-28T20:00:00"),
        ("30 8 1/10 * *", "2026-12-01T04:30:00"),
    ],
)
def test_the_next_window(cron: str, begins_at: str) -> None:
    opening = next_window(parse_cron(cron), timedelta(hours=1), read_zone("Asia/Muscat"), at("2026-11-24T12:00:00"))

    assert opening.begins_at == at(begins_at)
