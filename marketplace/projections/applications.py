"""``applications``: what every surface shows of each Application. A pure fold of the log; it knows no other source."""

from datetime import datetime

from django.db.models import Q, QuerySet

from catalyst.core.outbox import Message
from catalyst.core.projections import Projector, register_projector
from marketplace.models import ApplicationStatus

_Status = ApplicationStatus.Status


def _apply(message: Message) -> None:
    {
        "application.requested": _requested,
        "application.observed": _observed,
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


def _observed(message: Message) -> None:
    """Believe the newest observation; an older one than the stored changes nothing."""
    said = message.payload
    observed_at = datetime.fromisoformat(said["observed_at"])
    is_newer = Q(observed_at__isnull=True) | Q(observed_at__lt=observed_at)
    if said["status"] != _Status.INSTALLING:
        # Flux counts whole seconds: of two reports in one, the outcome is the later.
        is_newer |= Q(observed_at=observed_at)
    fields = {
        "status": said["status"],
        "status_reason": said["status_reason"],
        "observed_at": observed_at,
        "sequence": message.sequence,
    }
    if said["status"] == _Status.READY:
        fields["applied_commit"] = said["commit"]
    rows = _rows(message).filter(is_newer, application=said["application"])
    if said["status"] == _Status.INSTALLING:
        # Flux looks again at what runs, for commits that do not touch it too: that takes nothing from "ready".
        rows = rows.exclude(status=_Status.READY)
    rows.update(**fields)


def _failed(message: Message) -> None:
    """A Change that ended takes its unfinished Applications with it, with its reason."""
    unfinished = _rows(message).filter(application__in=message.payload["applications"], status=_Status.INSTALLING)
    reason = message.payload["status_reason"]
    unfinished.update(status=_Status.FAILED, status_reason=reason, sequence=message.sequence)


def _retried(message: Message) -> None:
    again = _rows(message).filter(commit=message.payload["commit"], status=_Status.FAILED).exclude(commit="")
    again.update(status=_Status.INSTALLING, status_reason="", sequence=message.sequence)


def _rows(message: Message) -> QuerySet[ApplicationStatus]:
    return ApplicationStatus.objects.filter(environment_id=message.payload["environment_id"])


def _clear() -> None:
    ApplicationStatus.objects.all().delete()


APPLICATIONS = register_projector(
    Projector(
        name="applications",
        topics=frozenset({"application.requested", "application.observed", "change.failed", "change.retried"}),
        apply=_apply,
        clear=_clear,
    )
)
