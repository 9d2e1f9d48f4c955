"""The data of an Application that is gone: kept for a while, shown, then deleted for good by a Job.

Removal is two acts. The first is a commit, after which the volumes stay; the second is here. While a name is in use
again its volumes belong to the new Application, so nothing of it is deleted. Source: docs/jobs.md.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from catalyst.core import outbox
from catalyst.core.database import use_case
from catalyst.core.errors import DomainError, NotFound
from marketplace.models import Application, Job, JobStep
from marketplace.selectors.claims import Claim
from marketplace.selectors.kept_data import PURGE_APPLICATION, kept_applications
from marketplace.services.cluster import Cluster, cluster_of, data_namespace
from marketplace.services.job_kinds import Done, JobKind, Wait, register_kind
from marketplace.services.jobs import find_unfinished, refuse_second, start_job
from tenancy.models import Environment, User
from tenancy.services.audit import append_audit, organization_stream
from tenancy.services.environment_life import lock_environment

_LOOK_AGAIN: Final = timedelta(seconds=10)


class NameNotTyped(DomainError):
    """What cannot be undone is confirmed by typing the name of what goes."""

    code = "name_not_typed"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class NotRemoved(DomainError):
    """Data is deleted only of what is gone, and when nothing else uses it."""

    code = "application_not_removed"
    status = HTTPStatus.CONFLICT


@dataclass(frozen=True, slots=True)
class KeptData:
    """What a purge deletes: everything in ``namespace``, these volumes included. ``databases`` stay where they are."""

    application: Application
    namespace: str
    claims: list[Claim]
    databases: list[str]


def check_typed(typed: str, name: str) -> None:
    """Check that a person typed the name of what is to go for good.

    :raises NameNotTyped: they typed something else.
    """
    if typed.strip() != name:
        raise NameNotTyped(_("Type %(name)s to confirm.") % {"name": name}, pointer="/name")


def find_kept(environment: Environment, name: str) -> Application:
    """Return the Application of this name whose data is kept.

    :raises NotFound: there was never one of this name.
    :raises NotRemoved: it still runs, is being removed, or has no data any more.
    """
    rows = Application.objects.filter(environment=environment, slug=name).exclude(change__commit="")
    if not rows.exists():
        raise NotFound(_("Not found."))
    kept = kept_applications(environment).filter(slug=name).first()
    if kept is None:
        raise NotRemoved(_("Remove %(name)s first: only what is gone has data to delete.") % {"name": name})
    return kept


def kept_data(application: Application) -> KeptData:
    """Return what dies with a purge, as the cluster says it.

    :raises Unavailable: the cluster does not answer now.
    :raises ClusterNotConfigured: nobody can look.
    """
    cluster = cluster_of(application.environment)
    databases = sorted(set(application.bindings.values()))
    return KeptData(application, data_namespace(application), cluster.claims(application), databases)


@use_case
def start_purge(*, environment: Environment, name: str, typed: str, actor: User | str, now: datetime) -> Job:
    """Delete the data of a removed Application for good; a person has typed its name.

    :raises NameNotTyped: ``typed`` is not the name.
    :raises NotFound, NotRemoved: see ``find_kept``.
    :raises JobRunning: it is being deleted already.
    """
    lock_environment(environment.pk)
    application = find_kept(environment, name)
    check_typed(typed, name)
    refuse_second(find_unfinished(kind=PURGE, environment_id=environment.pk, application=name))
    return _start(application, actor=actor, now=now)


def purge_due(*, now: datetime) -> int:
    """Say until when the data of what is gone is kept, and begin to delete what is due; return how many Jobs began.

    The days count from when it was first seen here, so a setting that is shortened surprises nobody.
    """
    kept = timedelta(days=settings.APPLICATION_DATA_DAYS)
    rows = Application.objects.filter(purge_at__isnull=True, purged_at__isnull=True, gone_at__isnull=False)
    rows.exclude(change__commit="").update(purge_at=now + kept)
    due = Application.objects.filter(purge_at__lte=now, purged_at__isnull=True, gone_at__isnull=False)
    ready = due.filter(environment__status=Environment.Status.READY)
    return sum(_purge_due_in(pk, now=now) for pk in sorted(set(ready.values_list("environment", flat=True))))


@use_case
def _purge_due_in(environment_id: int, *, now: datetime) -> int:
    """Begin what is due in one Environment. What had a Job that failed waits for a person."""
    environment = lock_environment(environment_id)
    jobs = Job.objects.filter(environment=environment, kind=PURGE_APPLICATION)
    tried = {each["application_id"] for each in jobs.values_list("subject", flat=True)}
    due = [row for row in kept_applications(environment).filter(purge_at__lte=now) if row.pk not in tried]
    if environment.status != Environment.Status.READY:
        return 0
    for application in due:
        _start(application, actor="platform", now=now)
    return len(due)


def _start(application: Application, *, actor: User | str, now: datetime) -> Job:
    subject = {
        "application": application.slug,
        "application_id": application.pk,
        "namespace": data_namespace(application),
    }
    environment = application.environment
    organization = environment.organization
    return start_job(
        kind=PURGE, organization=organization, environment=environment, subject=subject, actor=actor, now=now
    )


def delete_data(cluster: Cluster, rows: Iterable[Application], *, actor: User | str, now: datetime) -> list[str]:
    """Ask for the deletion of what still has data, and note what is gone; return the names that are not yet."""
    waiting = []
    for row in rows:
        if not cluster.is_data_gone(row):
            cluster.delete_data(row)
        if cluster.is_data_gone(row):
            note_purged(application_id=row.pk, actor=actor, now=now)
        else:
            waiting.append(row.slug)
    return waiting


@use_case
def note_purged(*, application_id: int, actor: User | str, now: datetime) -> bool:
    """Note that the cluster holds nothing of an Application any more; False when that was noted before."""
    rows = Application.objects.select_related("environment__organization").select_for_update(of=("self",), no_key=True)
    application = rows.get(pk=application_id)
    if application.purged_at is not None:
        return False
    application.purged_at = now
    application.save(update_fields=["purged_at"])
    environment = application.environment
    stream = organization_stream(environment.organization)
    names = {"application": application.slug, "environment": environment.name}
    append_audit(stream=stream, actor=actor, action="application.purged", target=_target(application), detail=names)
    outbox.publish(
        topic="application.purged",
        key=f"application.purged:{application.pk}",
        stream=stream,
        payload={**names, "environment_id": environment.pk, "status": "purged"},
    )
    return True


def _target(application: Application) -> str:
    return f"application:{application.pk}"


def _application(job: Job) -> Application:
    rows = Application.objects.select_related("environment__organization", "change", "removed_by")
    return rows.get(pk=job.subject["application_id"])


def _check(job: Job, _step: JobStep, _now: datetime) -> Done:
    _check_unused(_application(job))
    return Done()


def _check_unused(application: Application) -> None:
    """See that nothing uses the data. While a Job of this kind runs, no new Application gets the name.

    :raises NotRemoved: something does.
    """
    kept = kept_applications(application.environment)
    if application.purged_at is None and not kept.filter(pk=application.pk).exists():
        raise NotRemoved(_("Its name is in use again, so its data belongs to what runs now."))


def _delete(job: Job, _step: JobStep, now: datetime) -> Done | Wait:
    """Look again first: between a failure and the next try the name was free."""
    application = _application(job)
    _check_unused(application)
    actor: User | str = job.requested_by or "platform"
    waiting = delete_data(cluster_of(application.environment), [application], actor=actor, now=now)
    if waiting:
        return Wait(now + _LOOK_AGAIN, _("Waiting until the cluster has deleted it."), progress=50)
    return Done()


PURGE: Final[JobKind] = register_kind(
    JobKind(
        name=PURGE_APPLICATION,
        title=gettext_lazy("Delete the data of an application"),
        steps={"check": _check, "delete_data": _delete},
        titles={
            "check": gettext_lazy("See that nothing uses it"),
            "delete_data": gettext_lazy("Delete its volumes and see them gone"),
        },
        deadline=timedelta(hours=6),
        final_step="delete_data",
    )
)
