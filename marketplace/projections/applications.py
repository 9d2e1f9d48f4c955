"""``applications``: what every surface shows of each Application. A pure fold of the log; it knows no other source."""

from datetime import datetime

from django.db.models import Q, QuerySet

from catalyst.core.outbox import Message
from catalyst.core.projections import Projector, register_projector
from marketplace.models import ApplicationStatus
from marketplace.selectors.installed import SETTLED

_Status = ApplicationStatus.Status
#: What a commit of this kind makes of what it touches. An installation is told for each Application by itself.
_COMMITTED = {
    "pause": _Status.UPDATING,
    "resume": _Status.UPDATING,
    "remove": _Status.DELETING,
    "offboard": _Status.DELETING,
    "upgrade": _Status.UPDATING,
    "configure": _Status.UPDATING,
    "change": _Status.UPDATING,
    "promote": _Status.UPDATING,
    "revert": _Status.UPDATING,
    "adopt": _Status.UPDATING,
}


def _apply(message: Message) -> None:
    {
        "application.requested": _requested,
        "application.edited": _edited,
        "application.observed": _observed,
        "environment.unseen": _unseen,
        "change.committed": _committed,
        "change.failed": _failed,
        "change.retried": _retried,
    }[message.topic](message)


def _requested(message: Message) -> None:
    """Show the Application from its commit on, as installing."""
    said = message.payload
    ApplicationStatus.objects.update_or_create(
        environment_id=said["environment_id"],
        application=said["application"],
        defaults={
            "organization_id": said["organization_id"],
            "env_type": said["env_type"],
            "blueprint": said["blueprint"],
            "title": said["title"],
            "version": said["version"],
            "is_service": said["is_service"],
            "status": _Status.INSTALLING,
            "status_reason": "",
            "url": said["url"],
            "depends_on": said["depends_on"],
            "order_number": said["order"],
            "commit": said["commit"],
            "requested_at": datetime.fromisoformat(said["requested_at"]),
            "sequence": message.sequence,
        },
    )


def _edited(message: Message) -> None:
    """Show what a commit made of an Application that runs."""
    said = message.payload
    rows = _rows(message).filter(application=said["application"]).exclude(status=_Status.DELETING)
    rows.update(
        version=said["version"],
        title=said["title"],
        url=said["url"],
        depends_on=said["depends_on"],
        sequence=message.sequence,
    )


def _committed(message: Message) -> None:
    """A commit that pauses, resumes, edits or removes Applications is not done before the cluster says so."""
    said = message.payload
    status = _COMMITTED.get(said.get("kind", ""))
    if status is None:
        return
    touched = _rows(message).filter(application__in=said["applications"])
    touched.update(status=status, status_reason="", commit=said["commit"], sequence=message.sequence)
    leaving = _rows(message).filter(application__in=said.get("removed") or ())
    leaving.update(status=_Status.DELETING, status_reason="", commit=said["commit"], sequence=message.sequence)


def _leaving(message: Message) -> None:
    """The cluster's word on an Application that was removed: it is gone, or why it is not. Only of this removal."""
    said = message.payload
    rows = _rows(message).filter(application=said["application"], status=_Status.DELETING, commit=said["commit"])
    if said["is_gone"]:
        rows.delete()
    else:
        observed_at = datetime.fromisoformat(said["observed_at"])
        rows.update(status_reason=said["status_reason"], observed_at=observed_at, sequence=message.sequence)


def _observed(message: Message) -> None:
    """Believe the newest observation; an older one than the stored changes nothing."""
    said = message.payload
    if said["status"] == _Status.DELETING:
        _leaving(message)
        return
    observed_at = datetime.fromisoformat(said["observed_at"])
    is_newer = Q(observed_at__isnull=True) | Q(observed_at__lt=observed_at)
    if said["status"] != _Status.INSTALLING:
        # Flux counts whole seconds: of two reports in one, the outcome is the later.
        is_newer |= Q(observed_at=observed_at)
    fields = {
        "status": said["status"],
        "status_reason": said["status_reason"],
        "observed_at": observed_at,
        "ready": said.get("ready"),
        "wanted": said.get("wanted"),
        "sequence": message.sequence,
    }
    if said["status"] in SETTLED:
        fields["applied_commit"] = said["commit"]
    # What is to be removed may still be said to run: that takes nothing from "removing".
    rows = _rows(message).filter(is_newer, application=said["application"]).exclude(status=_Status.DELETING)
    if said["status"] == _Status.INSTALLING:
        # Flux looks again at what runs, for commits that do not touch it too: that takes nothing from "ready".
        rows = rows.exclude(status__in=[*SETTLED, _Status.UPDATING])
    rows.update(**fields)


def _unseen(message: Message) -> None:
    """Nobody has seen the cluster for too long: what runs there is not known. What is to go is still to go."""
    rows = _rows(message).filter(observed_at__isnull=False).exclude(status=_Status.DELETING)
    rows.update(status=_Status.UNKNOWN, status_reason="", sequence=message.sequence)


def _failed(message: Message) -> None:
    """A Change that ended takes its unfinished Applications with it, with its reason."""
    concerned = _rows(message).filter(application__in=message.payload["applications"])
    reason = message.payload["status_reason"]
    unfinished = concerned.filter(status__in=[_Status.INSTALLING, _Status.UPDATING])
    unfinished.update(status=_Status.FAILED, status_reason=reason, sequence=message.sequence)
    # Not removed in time is still being removed.
    concerned.filter(status=_Status.DELETING).update(status_reason=reason, sequence=message.sequence)


def _retried(message: Message) -> None:
    again = _rows(message).filter(commit=message.payload["commit"], status=_Status.FAILED).exclude(commit="")
    status = _COMMITTED.get(message.payload.get("kind", ""), _Status.INSTALLING)
    again.update(status=status, status_reason="", sequence=message.sequence)


def _rows(message: Message) -> QuerySet[ApplicationStatus]:
    return ApplicationStatus.objects.filter(environment_id=message.payload["environment_id"])


def _clear() -> None:
    ApplicationStatus.objects.all().delete()


APPLICATIONS = register_projector(
    Projector(
        name="applications",
        topics=frozenset(
            {
                "application.requested",
                "application.edited",
                "application.observed",
                "environment.unseen",
                "change.committed",
                "change.failed",
                "change.retried",
            }
        ),
        apply=_apply,
        clear=_clear,
    )
)
