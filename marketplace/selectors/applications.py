"""What runs, as pages and the API show it: reads of the projection, always from the Organization."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from marketplace.models import ApplicationStatus, Change
from marketplace.selectors.installed import SETTLED
from tenancy.models import Organization


@dataclass(frozen=True, slots=True)
class Step:
    """One line of an order's timeline. ``status`` is a key of the status vocabulary, times may be missing."""

    key: str
    status: str
    at: datetime | None
    done: int = 0
    of: int = 0


@dataclass(frozen=True, slots=True)
class Timeline:
    """Where the delivery of one order stands. ``commit`` is empty before there is one."""

    steps: tuple[Step, ...]
    applications: tuple[ApplicationStatus, ...]
    status: str
    status_reason: str
    environment: str
    commit: str


def list_applications(organization: Organization, env_type: str) -> QuerySet[ApplicationStatus]:
    """Return the Applications of one Environment by name, backing services included."""
    rows = ApplicationStatus.objects.filter(organization_id=organization.pk, env_type=env_type)
    return rows.order_by("application")


def get_application(organization: Organization, env_type: str, application: str) -> ApplicationStatus | None:
    return list_applications(organization, env_type).filter(application=application).first()


def applications_of_order(organization: Organization, order_number: str) -> list[ApplicationStatus]:
    """Return what an order brought, bought Applications first."""
    rows = ApplicationStatus.objects.filter(organization_id=organization.pk, order_number=order_number)
    return list(rows.order_by("is_service", "application"))


def order_timeline(organization: Organization, order_number: str, *, paid_at: datetime | None) -> Timeline:
    """Return the steps of a paid order: Payment, Environment, Applications, Ready."""
    change = (
        Change.objects.select_related("environment")
        .filter(organization=organization, order_number=order_number)
        .first()
    )
    applications = applications_of_order(organization, order_number)
    ready = sum(row.status in SETTLED for row in applications)
    steps = (
        Step("payment", "paid" if paid_at else "pending_payment", paid_at),
        _environment_step(change),
        _applications_step(applications, ready, change),
        _ready_step(change),
    )
    return Timeline(
        steps=steps,
        applications=tuple(applications),
        status=change.state if change else "pending",
        status_reason=change.status_reason if change else "",
        environment=change.environment.name if change else "",
        commit=change.commit if change else "",
    )


def _environment_step(change: Change | None) -> Step:
    if change is None:
        return Step("environment", "pending", None)
    if change.commit:
        return Step("environment", "succeeded", change.committed_at)
    failed = change.state == Change.State.FAILED
    return Step("environment", "failed" if failed else "running", change.created_at)


def _applications_step(applications: list[ApplicationStatus], ready: int, change: Change | None) -> Step:
    total = len(applications)
    latest = max((row.observed_at for row in applications if row.observed_at), default=None)
    if change is None or not change.commit:
        status = "pending"
    elif change.state == Change.State.SUCCEEDED or (total and ready == total):
        status = "succeeded"
    elif any(row.status == ApplicationStatus.Status.FAILED for row in applications):
        status = "failed"
    else:
        status = "running"
    return Step("applications", status, latest, done=ready, of=total)


def _ready_step(change: Change | None) -> Step:
    if change is not None and change.state == Change.State.SUCCEEDED:
        return Step("ready", "succeeded", change.finished_at)
    return Step("ready", "failed" if change is not None and change.state == Change.State.FAILED else "pending", None)
