"""One writer per Environment: a lease on its row. Environments never wait for each other.

All times are the database's, so that writers on different machines agree.
"""

from datetime import timedelta

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from tenancy.models import Environment

LEASE = timedelta(seconds=60)


class LeaseLost(Exception):
    """Another writer has taken over; what this one still had to do is done by the other."""


def take_lease(*, environment_id: int, owner: str) -> bool:
    """Become the writer of the Environment; False when somebody else is."""
    is_free = Q(lease_until__isnull=True) | Q(lease_until__lt=Now())
    environments = Environment.objects.filter(is_free, pk=environment_id)
    return bool(environments.update(lease_owner=owner, lease_until=Now() + LEASE))


def renew_lease(*, environment_id: int, owner: str) -> None:
    """Begin the lease anew.

    :raises LeaseLost: it has ended, or is another writer's.
    """
    if not _held(environment_id, owner).update(lease_until=Now() + LEASE):
        raise LeaseLost


def release_lease(*, environment_id: int, owner: str) -> None:
    """Let the next writer in."""
    environments = Environment.objects.filter(pk=environment_id, lease_owner=owner)
    environments.update(lease_owner="", lease_until=None)


def lock_leased(*, environment_id: int, owner: str) -> Environment:
    """Lock the Environment's row; call inside a transaction. Nobody can take the lease before its end.

    :raises LeaseLost: it has ended, or is another writer's.
    """
    environment = _held(environment_id, owner).select_for_update(of=("self",), no_key=True).first()
    if environment is None:
        raise LeaseLost
    return environment


def _held(environment_id: int, owner: str) -> QuerySet[Environment]:
    return Environment.objects.filter(pk=environment_id, lease_owner=owner, lease_until__gt=Now())
