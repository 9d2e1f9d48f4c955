"""One e-mail in both forms, text and HTML, in its reader's language.

Delivery of events is at least once, so a mail may be sent again after a crash between the mail server's answer and our
note of it; both copies carry the same Message-ID, by which mail programs show one.
"""

from typing import Any

from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils import translation

from billing.selectors.invoices import Contact
from tenancy.selectors.sovereign import get_sovereign


def send_mail(
    name: str, *, to: Contact, event: str, context: dict[str, Any], attachments: tuple[tuple[str, bytes, str], ...] = ()
) -> None:
    """Send the mail of one event. ``name`` is its templates' name, ``event`` the event's key.

    ``attachments`` are file name, content and media type.
    """
    sovereign, template = get_sovereign(), f"billing/email/{name}"
    everything = {"sovereign": sovereign, **context}
    with translation.override(to.language):
        message = EmailMultiAlternatives(
            subject=" ".join(render_to_string(f"{template}_subject.txt", everything).split()),
            body=render_to_string(f"{template}.txt", everything),
            to=[to.email],
            headers={"Message-ID": f"<{event.replace(':', '.')}@{sovereign.domain}>"},
            attachments=list(attachments),
        )
        message.attach_alternative(render_to_string(f"{template}.html", everything), "text/html")
    message.send()
