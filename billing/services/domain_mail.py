"""E-mails about a domain to the administrators of its Organization, each in that person's language."""

from typing import Any, Final

from django.conf import settings
from django.urls import reverse

from billing.selectors.invoices import Contact
from billing.services.mails import send_mail
from tenancy.models import Domain, Membership
from tenancy.selectors.domains import uses_of
from tenancy.services.domain_proof import record_name, record_value

#: Which mail an event becomes, and the state in which it still says the truth.
MAILS: Final = {
    "domain.verified": ("domain_active", Domain.State.VERIFIED),
    "domain.failed": ("domain_failed", Domain.State.FAILED),
}


def mail_domain(*, topic: str, payload: dict[str, Any], event: str) -> int:
    """Send the mails of one event and return how many; none about what is not so any more.

    ``event`` is the event's key.
    """
    name, state = MAILS[topic]
    domain = Domain.objects.select_related("organization").get(pk=payload["domain_id"])
    if domain.state != state:
        return 0
    organization = domain.organization
    context = {
        "domain": domain.name,
        "organization": organization.name,
        "trouble": payload.get("trouble", ""),
        "record": record_name(domain.name),
        "value": record_value(domain.token),
        "uses": uses_of(domain),
        "address": f"{settings.PUBLIC_URL}{reverse('console-domains', args=[organization.slug])}",
    }
    people = Membership.objects.live().filter(
        organization=organization, role=Membership.Role.ADMIN, user__is_active=True
    )
    for member in people.select_related("user").order_by("pk"):
        contact = Contact(member.user.email, member.user.language)
        send_mail(name, to=contact, event=f"{event}:{member.user_id}", context=context)
    return len(people)
