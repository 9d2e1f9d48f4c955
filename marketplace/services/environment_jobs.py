"""Deleting an Environment: a Job whose every step is seen done before the next begins.

It stays ``deleting`` until the end, so nothing is called gone that nobody has looked at. Source: docs/jobs.md.
"""

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from catalyst.core.database import use_case
from catalyst.core.errors import DomainError
from marketplace.models import Application, Change, Job, JobStep
from marketplace.selectors.installed import current_applications
from marketplace.selectors.obligations import obligations_of
from marketplace.services import changes, platform_repository, subscription_news
from marketplace.services.application_data import check_typed, delete_data
from marketplace.services.changes_commit import commit_changes
from marketplace.services.changes_repository import repository_path
from marketplace.services.cluster import cluster_of
from marketplace.services.event_place import newest_sequence
from marketplace.services.job_kinds import Done, JobKind, Wait, register_kind
from marketplace.services.jobs import find_unfinished, refuse_second, start_job
from marketplace.services.repository_archive import archive_path, archive_repository
from tenancy.models import Environment, User
from tenancy.services import environment_life

_LOOK_AGAIN: Final = timedelta(seconds=10)
_REASON: Final = "The Environment is deleted. Its data is deleted after its Applications are gone."


class MoneyOpen(DomainError):
    """Something is still paid for, or to be paid; ``extra`` lists what."""

    code = "money_open"
    status = HTTPStatus.CONFLICT


class ApplicationProtected(DomainError):
    """A person protected an Application against removal; ``extra`` lists the names."""

    code = "application_protected"
    status = HTTPStatus.CONFLICT


@use_case
def start_deletion(*, environment: Environment, typed: str, actor: User | str, now: datetime) -> Job:
    """Delete an Environment with everything in it; a person has typed its name.

    :raises NameNotTyped: ``typed`` is not its name.
    :raises MoneyOpen: it is subscribed, or somebody is at the checkout for it.
    :raises ApplicationProtected: what runs there is protected.
    :raises JobRunning: it is being deleted already.
    """
    check_typed(typed, environment.name)
    return begin(environment.pk, actor=actor, now=now)


def begin(environment_id: int, *, actor: User | str, now: datetime) -> Job:
    """Close the Environment and write the Job down; a step of a use case."""
    refuse_second(find_unfinished(kind=DELETE_ENVIRONMENT, environment_id=environment_id))
    environment = environment_life.begin_deletion(environment_id=environment_id, actor=actor, now=now)
    check_money(obligations_of(environment.organization, environment.env_type))
    check_protected(environment)
    return start_job(
        kind=DELETE_ENVIRONMENT,
        organization=environment.organization,
        environment=environment,
        subject={"environment": environment.name, "env_type": environment.env_type},
        actor=actor,
        now=now,
    )


def check_money(open_items: list[str]) -> None:
    """Refuse while something is to be settled.

    :raises MoneyOpen: with what it is.
    """
    if open_items:
        text = _("Settle this first: %(items)s") % {"items": " ".join(open_items)}
        raise MoneyOpen(text, extra={"open": open_items})


def check_protected(environment: Environment) -> None:
    """Refuse while an Application is protected.

    :raises ApplicationProtected: with the names.
    """
    rows = current_applications(environment.pk).filter(is_protected=True)
    names = list(rows.values_list("slug", flat=True))
    if names:
        text = _("Lift the delete protection first: %(names)s.") % {"names": ", ".join(names)}
        raise ApplicationProtected(text, extra={"applications": names})


def _environment(job: Job) -> Environment:
    assert job.environment_id is not None
    return Environment.objects.select_related("organization").get(pk=job.environment_id)


def _block(job: Job, _step: JobStep, now: datetime) -> Done | Wait:
    """End what waits for a gate, and let what is being saved come to its end."""
    waiting = Change.objects.filter(environment=job.environment_id, state=Change.State.AWAITING_GATES)
    for change_id in list(waiting.values_list("pk", flat=True)):
        changes.supersede_change(change_id=change_id, reason=_("Its environment is being deleted."), now=now)
    if Change.objects.filter(environment=job.environment_id, state=Change.State.COMMITTING).exists():
        return Wait(now + _LOOK_AGAIN, _("A change is still being saved."))
    return Done()


def _settle_money(job: Job, _step: JobStep, _now: datetime) -> Done:
    environment = _environment(job)
    check_money(obligations_of(environment.organization, environment.env_type))
    return Done()


def _remove_applications(job: Job, _step: JobStep, now: datetime) -> Done | Wait:
    """Take everything away by one commit."""
    environment = _environment(job)
    if not current_applications(environment.pk).exists() and not _planned(job):
        return Done(_("There were none."))
    change = _planned(job) or subscription_news.plan_change(news=_news(job, environment), now=now)
    assert change is not None
    if change.state == Change.State.FAILED and not change.commit:
        changes.retry_change(change_id=change.pk, actor="platform", now=now)
    commit_changes(environment_id=environment.pk, owner=f"job:{job.pk}", now=now)
    change.refresh_from_db()
    if change.state == Change.State.FAILED and not change.commit:
        raise changes.ChangeReplaced(change.status_reason)
    return Done(change.commit) if change.commit else Wait(now + _LOOK_AGAIN, _("The change is still being saved."))


def _planned(job: Job) -> Change | None:
    return Change.objects.filter(cause=_cause(job)).first()


def _cause(job: Job) -> str:
    return f"job:{job.pk}"


def _news(job: Job, environment: Environment) -> subscription_news.SubscriptionNews:
    return subscription_news.SubscriptionNews(
        cause=_cause(job),
        log_sequence=newest_sequence(),
        organization_id=environment.organization_id,
        env_type=environment.env_type,
        kind=Change.Kind.OFFBOARD,
        reason=_REASON,
    )


def _wait_gone(job: Job, _step: JobStep, now: datetime) -> Done | Wait:
    """Wait for the cluster's word on every Application that was ever saved here."""
    rows = Application.objects.filter(environment=job.environment_id).exclude(change__commit="")
    left = sorted(set(rows.filter(gone_at__isnull=True).values_list("slug", flat=True)))
    if not left:
        return Done()
    gone = rows.filter(gone_at__isnull=False).count()
    reason = _("The cluster has not deleted these yet: %(names)s.") % {"names": ", ".join(left)}
    return Wait(now + _LOOK_AGAIN, reason, progress=100 * gone // rows.count())


def _delete_data(job: Job, _step: JobStep, now: datetime) -> Done | Wait:
    environment = _environment(job)
    rows = Application.objects.filter(environment=environment, purged_at__isnull=True).exclude(change__commit="")
    left = list(rows.select_related("environment__organization", "change", "removed_by").order_by("pk"))
    if not left:
        return Done()
    waiting = delete_data(cluster_of(environment), left, actor=job.requested_by or "platform", now=now)
    if waiting:
        reason = _("The data of these is not deleted yet: %(names)s.") % {"names": ", ".join(sorted(set(waiting)))}
        return Wait(now + _LOOK_AGAIN, reason)
    return Done()


def _remove_platform(job: Job, _step: JobStep, now: datetime) -> Done | Wait:
    """Take away what the platform keeps of it, then see that its namespace is gone."""
    environment = _environment(job)
    platform_repository.sync_environment(environment, now=now, gone=True)
    if not cluster_of(environment).is_environment_gone(environment):
        return Wait(now + _LOOK_AGAIN, _("The cluster has not deleted the namespace yet."))
    return Done()


def _archive(job: Job, _step: JobStep, _now: datetime) -> Done:
    environment = _environment(job)
    bundle = archive_path(environment.organization, f"{environment.name}-{environment.uuid}")
    kept = archive_repository(repository_path(environment), bundle)
    return Done(bundle.name if kept else _("There was no commit."))


def _finish(job: Job, _step: JobStep, now: datetime) -> Done:
    assert job.environment_id is not None
    actor: User | str = job.requested_by or "platform"
    environment_life.finish_deletion(environment_id=job.environment_id, actor=actor, now=now)
    return Done()


def _keep(job: Job, now: datetime) -> None:
    assert job.environment_id is not None
    actor: User | str = job.requested_by or "platform"
    environment_life.give_up_deletion(environment_id=job.environment_id, actor=actor, now=now)


DELETE_ENVIRONMENT: Final[JobKind] = register_kind(
    JobKind(
        name="delete_environment",
        title=gettext_lazy("Delete an environment"),
        steps={
            "block_changes": _block,
            "settle_money": _settle_money,
            "remove_applications": _remove_applications,
            "wait_until_gone": _wait_gone,
            "delete_data": _delete_data,
            "remove_platform_objects": _remove_platform,
            "archive_repository": _archive,
            "finish": _finish,
        },
        titles={
            "block_changes": gettext_lazy("Let no new change begin"),
            "settle_money": gettext_lazy("See that nothing is left to pay"),
            "remove_applications": gettext_lazy("Remove its applications by one commit"),
            "wait_until_gone": gettext_lazy("Wait until the cluster has deleted them"),
            "delete_data": gettext_lazy("Delete the data and see it gone"),
            "remove_platform_objects": gettext_lazy("Remove what the platform keeps for it"),
            "archive_repository": gettext_lazy("Archive its repository"),
            "finish": gettext_lazy("Mark it as deleted"),
        },
        deadline=timedelta(hours=24),
        final_step="remove_applications",
        on_cancelled=_keep,
    )
)
