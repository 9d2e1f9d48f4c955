"""Brute-force protection of voucher codes, counted in Postgres so that a Redis flush resets nothing.

A failure is a well-formed code that no live voucher has. Limits per person, Organization and address; a breaker over
all stops anonymous guesses. Source: docs/vouchers.md, "Limits".
"""

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import structlog

from catalyst.core.database import execute, fetch_all, use_case
from catalyst.core.errors import DomainError

log = structlog.get_logger(__name__)

_USER = (5, timedelta(minutes=15))
_ORGANIZATION = (20, timedelta(hours=1))
_ADDRESS = (20, timedelta(hours=1))
_PREVIEW = (60, timedelta(hours=1))
_BREAKER = (100, timedelta(minutes=1))
_BREAKER_PAUSE = timedelta(minutes=10)
_BREAKER_SCOPE = "all"


class TooManyTries(DomainError):
    code = "too_many_tries"
    status = HTTPStatus.TOO_MANY_REQUESTS


@dataclass(frozen=True, slots=True)
class Guesser:
    """Who looks a code up: ids and the network address as the trusted proxy gives it."""

    user_id: int | None = None
    organization_id: int | None = None
    address: str = ""

    def limits(self) -> list[tuple[str, int, timedelta]]:
        scopes: list[tuple[str, int, timedelta]] = []
        if self.user_id is not None:
            scopes.append((f"user:{self.user_id}", *_USER))
        if self.organization_id is not None:
            scopes.append((f"organization:{self.organization_id}", *_ORGANIZATION))
        if self.address:
            scopes.append((f"address:{_network(self.address)}", *_ADDRESS))
        return scopes


def check_guesser(*, guesser: Guesser, now: datetime) -> None:
    """Refuse somebody who has failed too often, also when the code would be right. One statement.

    :raises TooManyTries: with the seconds to wait.
    """
    limits = {scope: (limit, window) for scope, limit, window in guesser.limits()}
    scopes = [*limits, *([_BREAKER_SCOPE] if guesser.user_id is None else [])]
    rows = fetch_all(
        "SELECT scope, window_start, failures FROM billing_codeattempt WHERE scope = ANY(%s) AND window_start > %s",
        [scopes, now - max(_USER[1], _ADDRESS[1], _BREAKER_PAUSE)],
    )
    for scope, start, failures in rows:
        limit, window = limits.get(scope, (_BREAKER[0], _BREAKER_PAUSE))
        if failures >= limit and start + window > now:
            raise _too_many(start + window - now)


@use_case
def count_preview(*, guesser: Guesser, now: datetime) -> None:
    """Count one preview from this address, right or wrong, in a transaction of its own.

    :raises TooManyTries: the address has asked too often; the count stays at the limit.
    """
    limit, window = _PREVIEW
    start = _window_start(now, window)
    if guesser.address and not _add_below(f"preview:{_network(guesser.address)}", start, limit):
        raise _too_many(start + window - now)


def record_failure(*, guesser: Guesser, now: datetime) -> None:
    """Count one failed look-up, in a transaction of its own.

    :raises TooManyTries: this failure came after a limit was reached.
    """
    wait = _count_failure(guesser=guesser, now=now)
    if wait is not None:
        raise _too_many(wait)


@use_case
def _count_failure(*, guesser: Guesser, now: datetime) -> timedelta | None:
    """Add one to every scope that is below its limit, one atomic statement each; return the wait when one was not."""
    refused: list[timedelta] = []
    for scope, limit, window in [*guesser.limits(), (_BREAKER_SCOPE, *_BREAKER)]:
        start = _window_start(now, window)
        counted = _add_below(scope, start, limit)
        if not counted and scope == _BREAKER_SCOPE:
            log.error("voucher_breaker_open", alarm=True)
        elif not counted:
            refused.append(start + window - now)
    return max(refused, default=None)


def _add_below(scope: str, start: datetime, limit: int) -> bool:
    """Add one unless the limit is reached, in one atomic statement; return whether it was added."""
    return bool(
        execute(
            "INSERT INTO billing_codeattempt AS a (scope, window_start, failures) VALUES (%s, %s, 1)"
            " ON CONFLICT (scope, window_start) DO UPDATE SET failures = a.failures + 1 WHERE a.failures < %s",
            [scope, start, limit],
        )
    )


def _too_many(wait: timedelta) -> TooManyTries:
    seconds = max(int(wait.total_seconds()) + 1, 1)
    return TooManyTries(f"Too many tries. Wait {-(-seconds // 60)} minutes.", retry_after=seconds)


def _window_start(now: datetime, window: timedelta) -> datetime:
    seconds = int(window.total_seconds())
    return datetime.fromtimestamp(int(now.timestamp()) // seconds * seconds, tz=UTC)


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    prefix = 64 if parsed.version == 6 else 32
    return str(ipaddress.ip_network(f"{parsed}/{prefix}", strict=False))
