"""How old the newest word on an Application is, and from when on nothing is known of it.

Source: docs/delivery.md, "Looking for ourselves".
"""

from datetime import datetime, timedelta
from typing import Final

from marketplace.models import ApplicationStatus, ClusterLook

#: Without a good look for so long, what was true of a cluster may be true no more.
UNSEEN_AFTER: Final = timedelta(minutes=5)
_Status = ApplicationStatus.Status


def shown_status(status: str, *, seen_at: datetime | None, now: datetime) -> str:
    """Return the status to show at ``now``. ``seen_at``: the last good look at its cluster, None when nobody looks.

    What is to be removed stays so: a person asked for it, whatever the cluster does.
    """
    if seen_at is None or status == _Status.DELETING:
        return status
    return _Status.UNKNOWN if now - seen_at > UNSEEN_AFTER else status


def last_seen(environment_id: int, *, observed_at: datetime | None = None) -> datetime | None:
    """Return when the cluster of one Environment was last seen, by a look or by a word of its own; None: nobody looks.

    A cluster that was never seen counts from when the first look was planned.
    """
    look = ClusterLook.objects.filter(environment=environment_id).first()
    if look is None or (look.seen_at is None and not look.failures):
        return None
    return max(moment for moment in (look.seen_at, look.began_at, observed_at) if moment is not None)
