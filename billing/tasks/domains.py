"""The sweep of domains, and the mails about them."""

from celery import shared_task
from django.utils import timezone

from billing.services import domain_mail
from catalyst.core.outbox import Message, subscribe
from tenancy.services import domain_checks


@shared_task(name="billing.sweep_domains")
def sweep_domains_task() -> None:
    """Look at the records that are due."""
    domain_checks.sweep_domains(now=timezone.now())


@subscribe("domain.verified", name="billing.mail_domain")
@subscribe("domain.failed", name="billing.mail_domain")
def mail_domain(message: Message) -> None:
    """Tell the administrators what became of a domain."""
    domain_mail.mail_domain(topic=message.topic, payload=message.payload, event=message.key)
