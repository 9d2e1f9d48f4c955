"""When a change window is open: five cron fields on the clock of one time zone, and how long each window lasts.

Source: cron(5) for the fields; a day is named by its month day or, when both are restricted, also by its weekday.
"""

import functools
import re
import zoneinfo
from calendar import monthrange
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from dateutil.rrule import DAILY, rrule, rruleset

#: 29 February is never further away than this.
_FURTHEST: Final = timedelta(days=8 * 366)
#: No clock change moves an opening further than this.
_SLACK: Final = timedelta(days=1)
_LEAP_YEAR: Final = 2024
_LONGEST_CRON: Final = 100
_DAYS: Final = {name: at for at, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
_MONTHS: Final = {
    name: at
    for at, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
    )
}
_ITEM = re.compile(r"(?P<first>\*|\w{1,3})(?:-(?P<last>\w{1,3}))?(?:/(?P<step>\d{1,2}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Field:
    """One of the five fields: its smallest and largest number, and words that stand for numbers."""

    least: int
    most: int
    words: Mapping[str, int]


_FIELDS: Final = (Field(0, 59, {}), Field(0, 23, {}), Field(1, 31, {}), Field(1, 12, _MONTHS), Field(0, 7, _DAYS))


@dataclass(frozen=True, slots=True)
class Schedule:
    """The moments at which windows open. Weekdays count from Sunday as 0."""

    text: str
    minutes: frozenset[int]
    hours: frozenset[int]
    month_days: frozenset[int] | None
    months: frozenset[int]
    weekdays: frozenset[int] | None


@dataclass(frozen=True, slots=True)
class Opening:
    """One window: open from ``begins_at`` on, shut at ``ends_at``."""

    begins_at: datetime
    ends_at: datetime


def parse_cron(text: str) -> Schedule:
    """Read five cron fields.

    :raises ValueError: they cannot be read, or name a day that never comes.
    """
    parts = text.split()
    if len(text) > _LONGEST_CRON or len(parts) != len(_FIELDS):
        raise ValueError(text)
    minutes, hours, days, months, weekdays = (_numbers(part, field) for part, field in zip(parts, _FIELDS, strict=True))
    schedule = Schedule(
        text=" ".join(parts),
        minutes=minutes,
        hours=hours,
        month_days=None if parts[2].startswith("*") and len(days) == 31 else days,
        months=months,
        weekdays=None if parts[4].startswith("*") and len(weekdays) == 8 else frozenset(day % 7 for day in weekdays),
    )
    if schedule.month_days and not schedule.weekdays and not _comes(schedule.month_days, months):
        raise ValueError(text)
    return schedule


def _comes(month_days: Iterable[int], months: Iterable[int]) -> bool:
    return min(month_days) <= max(monthrange(_LEAP_YEAR, month)[1] for month in months)


def _numbers(part: str, field: Field) -> frozenset[int]:
    return frozenset(number for item in part.split(",") for number in _range(item, field))


def _range(item: str, field: Field) -> range:
    found = _ITEM.fullmatch(item)
    if found is None or (found["first"] == "*" and found["last"]):
        raise ValueError(item)
    if found["first"] == "*":
        first, last = field.least, field.most
    else:
        first = _number(found["first"], field)
        last = _number(found["last"], field) if found["last"] else field.most if found["step"] else first
    step = int(found["step"] or 1)
    if first > last or step < 1:
        raise ValueError(item)
    return range(first, last + 1, step)


def _number(word: str, field: Field) -> int:
    number = field.words.get(word.lower())
    if number is None:
        number = int(word)
    if not field.least <= number <= field.most:
        raise ValueError(word)
    return number


def read_zone(name: str) -> ZoneInfo:
    """Return a time zone by its name in the IANA database.

    :raises ValueError: there is none.
    """
    if name not in _zones():
        raise ValueError(name)
    return ZoneInfo(name)


@functools.cache
def _zones() -> frozenset[str]:
    return frozenset(each for each in zoneinfo.available_timezones() if "/" in each or each == "UTC")


def open_window(schedule: Schedule, duration: timedelta, zone: ZoneInfo, at: datetime) -> Opening | None:
    """Return the window that is open at this moment and shuts last; its first second is inside, its end is not."""
    local = at.astimezone(zone).replace(tzinfo=None)
    starts = _starts(schedule, zone, local - duration - _SLACK, local + _SLACK)
    begun = [start for start in starts if start <= at < start + duration]
    return Opening(max(begun), max(begun) + duration) if begun else None


def next_window(schedule: Schedule, duration: timedelta, zone: ZoneInfo, after: datetime) -> Opening:
    """Return the first window that opens after this moment."""
    local = after.astimezone(zone).replace(tzinfo=None)
    for start in _starts(schedule, zone, local - _SLACK, local + _FURTHEST):
        if start > after:
            return Opening(start, start + duration)
    raise AssertionError("parse_cron accepts no schedule without a day")


def _starts(schedule: Schedule, zone: ZoneInfo, since: datetime, until: datetime) -> Iterator[datetime]:
    """Yield openings in UTC. A local time that a clock change repeats opens once, the first time; one that it skips
    opens as much later as the clock is put forward."""
    for naive in _local_starts(schedule, since, until):
        yield naive.replace(tzinfo=zone).astimezone(UTC)


def _local_starts(schedule: Schedule, since: datetime, until: datetime) -> Iterator[datetime]:
    days = rruleset()
    begin = since.replace(hour=0, minute=0, second=0, microsecond=0)
    both = schedule.month_days is not None and schedule.weekdays is not None
    choices = (
        [(schedule.month_days, None), (None, schedule.weekdays)] if both else [(schedule.month_days, schedule.weekdays)]
    )
    for month_days, weekdays in choices:
        days.rrule(
            rrule(
                DAILY,
                dtstart=begin,
                until=until,
                bymonth=sorted(schedule.months),
                bymonthday=sorted(month_days) if month_days is not None else None,
                # dateutil counts from Monday
                byweekday=sorted((day - 1) % 7 for day in weekdays) if weekdays is not None else None,
                byhour=sorted(schedule.hours),
                byminute=sorted(schedule.minutes),
                bysecond=0,
            )
        )
    return iter(days)
