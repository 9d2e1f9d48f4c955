"""Bring secrets into the store, one entry at a time, and forget them here.

The entry is read first, then the rows, then it is written in the place of the version that was read. So a value that
somebody replaced meanwhile is never written over the newer one: either the rows already had the newer one, or the
version has moved and all of it is done again. A crash anywhere repeats: what stands there already is not written twice.
Source: docs/secrets.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from catalyst.core.crypto import SealBroken
from catalyst.core.database import use_case
from catalyst.core.errors import Unavailable
from catalyst.core.failpoints import fp
from catalyst.core.incidents import open_incident, resolve_subject
from catalyst.core.secret_store import (
    EntryChanged,
    SecretStoreRefused,
    SecretStoreSealed,
    SecretStoreUnreachable,
    has_secret_store,
    secret_store,
)
from marketplace.models import Application, ApplicationSecret
from marketplace.services.application_secrets import announce, open_value
from marketplace.services.changes_desired import environment_facts
from marketplace.services.secret_credentials import credential_facts

log = structlog.get_logger(__name__)

#: Not arrived after this long, staff are told.
PATIENCE: Final = timedelta(minutes=15)
INCIDENT: Final = "secret_not_delivered"
#: Then no other entry could be written either.
_AWAY: Final = frozenset({SecretStoreUnreachable.code, SecretStoreSealed.code})
_ATTEMPTS: Final = 5
_LONGEST_PAUSE_SECONDS: Final = 300
_MOST_AT_ONCE: Final = 100


class StillMoving(Unavailable):
    """Others write the same entry without a pause."""

    code = "secret_entry_changed"


@dataclass(frozen=True, slots=True)
class Place:
    """One entry of the store: that of an Application, or what ``issuer`` issues to it."""

    application: Application
    issuer: str

    @property
    def path(self) -> str:
        facts = environment_facts(self.application.environment)
        own = facts.secret_path(self.issuer or self.application.slug)
        return f"{own}/{self.application.slug}" if self.issuer else own

    def waiting(self) -> QuerySet[ApplicationSecret]:
        """Return what has not arrived, the oldest first. An Application that was here before has the same entry."""
        rows = ApplicationSecret.objects.filter(
            application__environment_id=self.application.environment_id,
            application__slug=self.application.slug,
            issuer=self.issuer,
            delivered_at__isnull=True,
        )
        return rows.select_related("application__environment__organization").order_by("set_at", "pk")


def deliver_entry(*, application_id: int, issuer: str, now: datetime) -> bool:
    """Bring what waits for one entry into the store; False when the store could not take it: the sweep repeats."""
    return has_secret_store() and not _try(application_id, issuer, now=now)


def _try(application_id: int, issuer: str, *, now: datetime) -> str:
    """Return the code of what went wrong, or nothing."""
    rows = Application.objects.select_related("environment__organization", "organization")
    place = Place(rows.get(pk=application_id), issuer)
    try:
        _bring(place, now=now)
    except (Unavailable, SecretStoreRefused) as error:
        _postpone(place, code=error.code, now=now)
        return error.code
    except SealBroken:
        _postpone(place, code="secret_unreadable", now=now)
        return "secret_unreadable"
    return ""


def deliver_due(*, now: datetime) -> None:
    """Bring everything that is due; when the store does not answer, the rest waits for the next time."""
    due = ApplicationSecret.objects.filter(delivered_at__isnull=True, next_attempt_at__lte=Now())
    places = due.order_by("application_id", "issuer").values_list("application_id", "issuer").distinct()
    for application_id, issuer in places[:_MOST_AT_ONCE] if has_secret_store() else ():
        if _try(application_id, issuer, now=now) in _AWAY:
            log.warning("secrets_wait_for_the_store")
            return


def _bring(place: Place, *, now: datetime) -> None:
    store, path = secret_store(), place.path
    for _attempt in range(_ATTEMPTS):
        entry = store.read(path)
        rows = list(place.waiting())
        if not rows:
            return
        data = _merged(place, entry.data, rows)
        fp("secret.deliver.before_write")
        if data != entry.data:
            try:
                store.write(path, data, expected=entry.version)
            except EntryChanged:
                continue
        fp("secret.deliver.after_write")
        if _record_delivery(rows=rows, now=now):
            return
    raise StillMoving("others write the same entry")


def _merged(place: Place, held: Mapping[str, Any], rows: list[ApplicationSecret]) -> dict[str, Any]:
    """Return the entry with what waits in it; what others keep there stays."""
    data = dict(held)
    for row in rows:
        if not (row.keeps_first and isinstance(held.get(row.name), str)):
            data[row.name] = open_value(row)
    return {**data, **credential_facts(place.application, place.issuer, data)} if place.issuer else data


@use_case
def _record_delivery(*, rows: list[ApplicationSecret], now: datetime) -> bool:
    """Forget the values that have arrived; False when one was replaced meanwhile and has to follow."""
    arrived = []
    for row in rows:
        # The sealed text is new each time, so it tells this value from every later one.
        same = ApplicationSecret.objects.filter(pk=row.pk, ciphertext=row.ciphertext, delivered_at__isnull=True)
        if same.update(ciphertext="", delivered_at=now, last_error=""):
            arrived.append(row)
    if arrived:
        announce(arrived, "secret.delivered")
        resolve_subject(kinds=[INCIDENT], subject=_subject(arrived[0].application))
    fp("secret.deliver.in_tx")
    return len(arrived) == len(rows)


@use_case
def _postpone(place: Place, *, code: str, now: datetime) -> None:
    waiting = place.waiting()
    oldest = waiting.first()
    if oldest is None:
        return
    pause = timedelta(seconds=min(2 ** (oldest.attempts + 1), _LONGEST_PAUSE_SECONDS))
    waiting.order_by().update(attempts=F("attempts") + 1, next_attempt_at=Now() + pause, last_error=code)
    if now - oldest.set_at > PATIENCE:
        open_incident(kind=INCIDENT, subject=_subject(place.application), detail=f"{place.path}: {code}")


def _subject(application: Application) -> str:
    return f"application:{application.pk}"
