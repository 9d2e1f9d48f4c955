"""A sandbox Sovereign with one Organization that runs something, and the words of its cluster."""

from datetime import datetime
from typing import Any

from marketplace.models import Application, Job
from marketplace.services.jobs_drive import drive_jobs
from tenancy.models import Organization, Sovereign, User
from tests.marketplace.deliver_rows import LATER, Desk, open_desk
from tests.marketplace.job_kinds import end_leases

GONE = "Deployment/prod-wordpress/app deleted\nPersistentVolumeClaim/prod-wordpress/app-data skipped"


def open_sandbox(sovereign: Sovereign, organization: Organization, buyer: User) -> Desk:
    """Deliver a WordPress with its database in a sandbox."""
    Sovereign.objects.filter(pk=sovereign.pk).update(is_sandbox=True)
    desk = open_desk(organization, buyer)
    change = desk.deliver()
    desk.cluster_says(change.commit, "shared-mysql", "wordpress")
    return desk


def take_away(desk: Desk, *, sequence: int = 20) -> str:
    """Let the subscription end and the cluster delete everything; return the commit of before."""
    before = desk.environment().head_commit
    desk.tell("canceled", sequence)
    desk.cluster_says(before, "shared-mysql", "wordpress", message=GONE)
    return before


def drive(now: datetime = LATER) -> int:
    """Drive all Jobs as far as they go, with all pauses over."""
    end_leases()
    return drive_jobs(owner="worker-1", now=now)


def course(job: Job) -> dict[str, Any]:
    """Return the state of each step, and of the Job under an empty name."""
    job.refresh_from_db()
    return {"": job.state, **dict(job.steps.order_by("position").values_list("name", "state"))}


def application(slug: str = "wordpress") -> Application:
    return Application.objects.filter(slug=slug).latest("pk")
