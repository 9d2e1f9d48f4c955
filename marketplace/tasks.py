"""Consumers, doorbells and sweeps of installation: each only wakes a service up, which finds its work in Postgres."""

import os
import socket
import uuid

from celery import shared_task
from django.utils import timezone

from catalyst.core.outbox import Message, subscribe
from marketplace.selectors.installed import EDITS
from marketplace.services import (
    application_data,
    change_gates,
    change_push_branches,
    changes_commit,
    changes_sweep,
    cluster_looks,
    delivery,
    flux_observe,
    jobs_drive,
    organization_news,
    platform_news,
    platform_repository,
    secret_delivery,
    secret_provision,
    subscription_news,
    take_pushed,
    typed_secrets,
)
from tenancy.services import organization_life


def _owner() -> str:
    # New for each run: one that lost its lease must not write under the next one's.
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


@subscribe("order.paid", name="marketplace.deliver_order")
def deliver_order(message: Message) -> None:
    """Install what a paid Order bought."""
    order = delivery.paid_order(message.payload, log_sequence=message.sequence)
    if not order.has_nothing_to_install:
        delivery.deliver_order(order=order, owner=_owner(), now=timezone.now())


@subscribe("subscription.changed", name="marketplace.install_scheduled")
def install_scheduled(message: Message) -> None:
    """Install what a change brings at the end of a period; what was ordered comes with ``order.paid``."""
    order = delivery.scheduled_order(message.payload, cause=message.key, log_sequence=message.sequence)
    if order is not None:
        delivery.deliver_order(order=order, owner=_owner(), now=timezone.now())


@subscribe("subscription.suspended", name="marketplace.pause_applications")
@subscribe("subscription.resumed", name="marketplace.resume_applications")
@subscribe("subscription.changed", name="marketplace.remove_applications")
@subscribe("subscription.canceled", name="marketplace.offboard_applications")
def follow_subscription(message: Message) -> None:
    """Pause, resume or remove what the subscription runs."""
    news = subscription_news.read_news(message)
    if news is not None:
        subscription_news.follow_subscription(news=news, owner=_owner(), now=timezone.now())


@subscribe("change.created", name="marketplace.commit_edit")
def commit_edit(message: Message) -> None:
    """Write what a person changes of what runs; every other Change is written by whoever planned it."""
    if message.payload["kind"] in EDITS:
        environment_id = message.payload["environment_id"]
        changes_commit.commit_changes(environment_id=environment_id, owner=_owner(), now=timezone.now())


@subscribe("change.gates_opened", name="marketplace.commit_approved")
def commit_approved(message: Message) -> None:
    """Write a Change whose rules are all met."""
    environment_id = message.payload["environment_id"]
    changes_commit.commit_changes(environment_id=environment_id, owner=_owner(), now=timezone.now())


@subscribe("change.approved", name="marketplace.judge_approved")
@subscribe("policy.changed", name="marketplace.judge_waiting")
def judge_waiting(message: Message) -> None:
    """Look at what waits for approvals or time, now that one of them may be there."""
    change_gates.advance_gates(now=timezone.now())


@subscribe("change.created", name="marketplace.follow_branches")
def follow_branches(message: Message) -> None:
    """Drop the branch of a preview that was just applied."""
    change_push_branches.follow_branches(environment_id=message.payload["environment_id"], now=timezone.now())


@subscribe("application.observed", name="marketplace.settle_changes")
def settle_changes(message: Message) -> None:
    """Close the Changes that this observation completes."""
    changes_sweep.settle_changes(environment_id=message.payload["environment_id"], now=timezone.now())


@shared_task(name="marketplace.sweep_changes")
def sweep_changes_task() -> None:
    """Drive on every Change that is due."""
    changes_sweep.sweep_changes(owner=_owner(), now=timezone.now())


@shared_task(name="marketplace.sweep_gates")
def sweep_gates_task() -> None:
    """Judge anew every waiting Change whose time has come."""
    change_gates.advance_gates(now=timezone.now())


@shared_task(name="marketplace.sweep_branches")
def sweep_branches_task() -> None:
    """Drop pushed branches that ask for nothing any more."""
    change_push_branches.sweep_branches(now=timezone.now())


@shared_task(name="marketplace.process_flux_message")
def process_flux_message_task(*, message_id: int) -> None:
    """Look at one stored message of Flux."""
    flux_observe.process_message(message_id=message_id)


@shared_task(name="marketplace.sweep_flux_messages")
def sweep_flux_messages_task() -> None:
    """Look at every stored message of Flux that is due."""
    flux_observe.process_messages()


@shared_task(name="marketplace.look_at_clusters")
def look_at_clusters_task() -> None:
    """Look at every cluster whose time has come."""
    cluster_looks.look_at_clusters(now=timezone.now())


@shared_task(name="marketplace.take_pushed")
def take_pushed_task() -> None:
    """Register what was pushed and is not in the catalogue: its push died on the way."""
    take_pushed.take_all(now=timezone.now())


@subscribe("change.committed", name="marketplace.provide_secrets")
def provide_secrets(message: Message) -> None:
    """Make the secrets that this commit asks for and nobody types."""
    payload = message.payload
    secret_provision.provide_secrets(
        environment_id=payload["environment_id"], commit=payload["commit"], now=timezone.now()
    )


@subscribe("secret.set", name="marketplace.deliver_secret")
def deliver_secret(message: Message) -> None:
    """Bring what was set into the secret store; what the store cannot take now, the sweep brings later."""
    application_id, issuer = message.payload["application_id"], message.payload["issuer"]
    secret_delivery.deliver_entry(application_id=application_id, issuer=issuer, now=timezone.now())


@shared_task(name="marketplace.sweep_secrets")
def sweep_secrets_task() -> None:
    """Bring every secret that is due into the store, and forget what a buyer typed and nobody ordered."""
    secret_delivery.deliver_due(now=timezone.now())
    typed_secrets.forget_typed_secrets(now=timezone.now())


@subscribe("organization.suspended", name="marketplace.pause_organization")
@subscribe("organization.resumed", name="marketplace.resume_organization")
def follow_organization(message: Message) -> None:
    """Pause or resume what an Organization runs."""
    organization_news.follow_organization(message, owner=_owner(), now=timezone.now())


@subscribe("job.created", name="marketplace.begin_job")
def begin_job(_message: Message) -> None:
    """Begin at once what the sweep would begin later."""
    jobs_drive.drive_jobs(owner=_owner(), now=timezone.now())


@shared_task(name="marketplace.sweep_jobs")
def sweep_jobs_task() -> None:
    """Drive on every Job that is due, and fail what is past its deadline."""
    jobs_drive.drive_jobs(owner=_owner(), now=timezone.now())


@shared_task(name="marketplace.sweep_kept_data")
def sweep_kept_data_task() -> None:
    """Begin to delete data that is kept no longer; free the names that are held no longer."""
    application_data.purge_due(now=timezone.now())
    organization_life.release_names(now=timezone.now())


@subscribe("environment.created", name="marketplace.add_platform_objects")
@subscribe("order.paid", name="marketplace.sync_paid_quota")
@subscribe("subscription.changed", name="marketplace.sync_changed_quota")
@subscribe("subscription.canceled", name="marketplace.sync_ended_quota")
@subscribe("policy.changed", name="marketplace.sync_policy")
def follow_platform(message: Message) -> None:
    """Write into the platform's repository what this news changes of an Environment."""
    platform_news.follow_platform(payload=message.payload, now=timezone.now())


@shared_task(name="marketplace.sweep_platform")
def sweep_platform_task() -> None:
    """Compare the platform's repository with the rows of every Environment."""
    platform_repository.sync_platform(now=timezone.now())
