"""Jobs as people see them: within their own Environments, newest first, each with its steps and its log."""

from collections.abc import Collection
from typing import Any

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from catalyst.core.errors import NotFound
from marketplace.models import Job, JobLine
from tenancy.models import Organization

#: How many lines of a log one answer holds.
MOST_LINES = 500


def jobs_of(organization: Organization, *, env_types: Collection[str] | None) -> QuerySet[Job]:
    """Return the Organization's Jobs within a member's scope (None: all); those of no Environment are everybody's."""
    jobs = Job.objects.filter(organization=organization).select_related("environment", "requested_by")
    if env_types is None:
        return jobs
    return jobs.filter(Q(environment__isnull=True) | Q(environment__env_type__in=sorted(env_types)))


def get_job(organization: Organization, job_id: Any, *, env_types: Collection[str] | None) -> Job:
    """Return one of them, with its steps.

    :raises NotFound: there is none, or it is out of the member's scope.
    """
    job = jobs_of(organization, env_types=env_types).prefetch_related("steps").filter(pk=job_id).first()
    if job is None:
        raise NotFound(_("Not found."))
    return job


def lines_of(job: Job, *, after: int) -> list[JobLine]:
    """Return the lines after a number, oldest first, at most ``MOST_LINES``."""
    return list(JobLine.objects.filter(job=job, number__gt=after).order_by("number")[:MOST_LINES])
