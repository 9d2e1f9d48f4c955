"""Off-boarding an Organization: its Environments, its repositories and everybody's access go, each seen gone.

Its money stays in the books. Nobody gets its name for 90 days. Source: docs/jobs.md.
"""

from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Final

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from catalyst.core.database import use_case
from catalyst.core.errors import DomainError
from marketplace.models import Job, JobState, JobStep, SourceRepository
from marketplace.selectors.obligations import obligations_of
from marketplace.services import environment_jobs
from marketplace.services.application_data import check_typed
from marketplace.services.job_kinds import Done, JobKind, Wait, register_kind
from marketplace.services.jobs import UNFINISHED, find_unfinished, refuse_second, start_job
from marketplace.services.repository_archive import archive_path, archive_repository
from marketplace.services.source_repositories import repository_path
from tenancy.models import ApiToken, Environment, Membership, Organization, User
from tenancy.services import organization_life

_LOOK_AGAIN: Final = timedelta(seconds=15)


class NotGone(DomainError):
    """Something of the Organization is still there; ``extra`` lists what."""

    code = "organization_not_gone"
    status = HTTPStatus.CONFLICT


@use_case
def start_offboarding(*, organization: Organization, typed: str, actor: User | str, now: datetime) -> Job:
    """Delete an Organization with everything it has; a person has typed its name.

    :raises NameNotTyped: ``typed`` is not its slug.
    :raises MoneyOpen: it is subscribed, or somebody is at the checkout.
    :raises ApplicationProtected: what runs there is protected.
    :raises InvalidTransition: it is not active. :raises JobRunning: it is being deleted already.
    """
    check_typed(typed, organization.slug)
    refuse_second(find_unfinished(kind=OFFBOARD, organization_id=organization.pk))
    closed = organization_life.begin_deletion(organization_id=organization.pk, actor=actor, now=now)
    environment_jobs.check_money(obligations_of(closed))
    for environment in Environment.objects.filter(organization=closed):
        environment_jobs.check_protected(environment)
    subject = {"organization": closed.slug, "organization_id": closed.pk}
    return start_job(kind=OFFBOARD, organization=closed, environment=None, subject=subject, actor=actor, now=now)


def _actor(job: Job) -> User | str:
    return job.requested_by or "platform"


def _settle_money(job: Job, _step: JobStep, _now: datetime) -> Done:
    environment_jobs.check_money(obligations_of(job.organization))
    return Done()


def _delete_environments(job: Job, _step: JobStep, now: datetime) -> Done | Wait:
    """Have each Environment deleted by a Job of its own; what fails there is tried again there."""
    left = list(Environment.objects.filter(organization=job.organization).order_by("name"))
    if not left:
        return Done()
    for environment in left:
        _ensure_deletion(environment.pk, actor=_actor(job), now=now)
    failed = Job.objects.filter(
        organization=job.organization, kind=environment_jobs.DELETE_ENVIRONMENT.name, state=JobState.FAILED
    )
    stuck = failed.filter(environment__in=left).order_by("environment__name")
    reasons = "".join(f" {each.environment}: {each.status_reason}" for each in stuck.select_related("environment"))
    names = ", ".join(environment.name for environment in left)
    return Wait(now + _LOOK_AGAIN, _("These are still being deleted: %(names)s.") % {"names": names} + reasons)


@use_case
def _ensure_deletion(environment_id: int, *, actor: User | str, now: datetime) -> None:
    """Begin to delete an Environment that nobody is deleting."""
    ready = Environment.objects.filter(pk=environment_id).exclude(status=Environment.Status.DELETING)
    if ready.exists():
        environment_jobs.begin(environment_id, actor=actor, now=now)


def _archive_repositories(job: Job, _step: JobStep, _now: datetime) -> Done:
    """Archive what its members wrote themselves, and take away its empty folder."""
    bundles = []
    for row in SourceRepository.objects.filter(organization=job.organization).order_by("pk"):
        bundle = archive_path(job.organization, f"{row.name}-{row.uuid}")
        if archive_repository(repository_path(row), bundle):
            bundles.append(bundle.name)
    folder = _folder(job.organization)
    if folder.exists():
        folder.rmdir()
    return Done(", ".join(bundles))


def _folder(organization: Organization) -> Path:
    root: Path = settings.GIT_ROOT
    return root / organization.slug


def _revoke_access(job: Job, _step: JobStep, now: datetime) -> Done:
    organization_life.revoke_access(organization_id=job.organization_id, actor=_actor(job), now=now)
    return Done()


def _verify(job: Job, _step: JobStep, _now: datetime) -> Done:
    """Look at everything once more, as somebody would who was told nothing."""
    left = leftovers(job.organization, besides=job)
    if left:
        raise NotGone(_("Something is still there: %(left)s.") % {"left": ", ".join(left)}, extra={"left": left})
    return Done()


def leftovers(organization: Organization, *, besides: Job | None = None) -> list[str]:
    """Return what an off-boarded Organization must not have any more, empty when it is clean."""
    jobs = Job.objects.filter(organization=organization, state__in=UNFINISHED)
    others = jobs.exclude(pk=besides.pk) if besides else jobs
    sources = SourceRepository.objects.filter(organization=organization)
    kept = {
        "environments": Environment.objects.filter(organization=organization).exists(),
        "memberships": Membership.objects.filter(organization=organization).exists(),
        "tokens": ApiToken.objects.live().filter(organization=organization).exists(),
        "jobs": others.exists(),
        "repositories": _folder(organization).exists() or any(repository_path(row).exists() for row in sources),
        "money": bool(obligations_of(organization)),
    }
    return [name for name, is_there in kept.items() if is_there]


def _finish(job: Job, _step: JobStep, now: datetime) -> Done:
    organization_life.finish_deletion(organization_id=job.organization_id, actor=_actor(job), now=now)
    return Done()


def _keep(job: Job, now: datetime) -> None:
    organization_life.give_up_deletion(organization_id=job.organization_id, actor=_actor(job), now=now)


OFFBOARD: Final[JobKind] = register_kind(
    JobKind(
        name="offboard_organization",
        title=gettext_lazy("Delete the organization"),
        steps={
            "settle_money": _settle_money,
            "delete_environments": _delete_environments,
            "archive_repositories": _archive_repositories,
            "revoke_access": _revoke_access,
            "verify": _verify,
            "finish": _finish,
        },
        titles={
            "settle_money": gettext_lazy("See that nothing is left to pay"),
            "delete_environments": gettext_lazy("Delete its environments"),
            "archive_repositories": gettext_lazy("Archive its repositories"),
            "revoke_access": gettext_lazy("End everybody's access"),
            "verify": gettext_lazy("See that nothing is left"),
            "finish": gettext_lazy("Mark it as deleted"),
        },
        deadline=timedelta(hours=72),
        final_step="delete_environments",
        on_cancelled=_keep,
    )
)
