"""Which removed Applications left data, and which names are not free because their data is being deleted."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from django.db.models import Exists, OuterRef, QuerySet
from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError
from marketplace.models import Application, Job, JobState
from tenancy.models import Environment

PURGE_APPLICATION: Final = "purge_application"


class NameBeingPurged(DomainError):
    """What is deleted under this name must not meet something new."""

    code = "name_being_purged"
    status = HTTPStatus.CONFLICT


def kept_applications(environment: Environment) -> QuerySet[Application]:
    """Return the Applications that are gone and left data, the newest of each name, by name."""
    same = Application.objects.filter(environment=OuterRef("environment"), slug=OuterRef("slug"))
    younger = same.filter(pk__gt=OuterRef("pk")).exclude(change__commit="", removed_by__isnull=False)
    gone = Application.objects.filter(environment=environment, gone_at__isnull=False, purged_at__isnull=True)
    rows = gone.exclude(change__commit="").exclude(Exists(younger))
    return rows.select_related("environment__organization", "change", "removed_by").order_by("slug")


def names_being_purged(environment_id: int) -> set[str]:
    """Return the names that no new Application may take now."""
    unfinished = (JobState.PENDING, JobState.RUNNING, JobState.CANCELLING)
    jobs = Job.objects.filter(environment=environment_id, kind=PURGE_APPLICATION, state__in=unfinished)
    return {str(each["application"]) for each in jobs.values_list("subject", flat=True)}


def check_not_purged(environment_id: int, names: Iterable[str]) -> None:
    """Refuse new Applications whose names are being purged; the caller has locked the Environment's row.

    :raises NameBeingPurged: try again when that is done, or choose another name.
    """
    busy = sorted(names_being_purged(environment_id) & set(names))
    if busy:
        text = _("The old data of %(names)s is being deleted. Try again when that is done.")
        raise NameBeingPurged(text % {"names": ", ".join(busy)}, retry_after=60)
