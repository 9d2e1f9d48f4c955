"""One e-mail in both forms, text and HTML.

Delivery of events is at least once, so a mail may be sent again after a crash between the mail server's answer and our
note of it; both copies carry the same Message-ID, by which mail programs show one.
"""

from typing import Any

from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils import translation

from tenancy.selectors.sovereign import get_sovereign


def send_mail(name: str, *, to: str, language: str, message_id: str, context: dict[str, Any]) -> None:
    """Send one mail. ``name`` is its templates' name, ``message_id`` what is the same in every copy of it."""
    sovereign, template = get_sovereign(), f"tenancy/email/{name}"
    everything = {"sovereign": sovereign, **context}
    with translation.override(language):
        message = EmailMultiAlternatives(
            subject=" ".join(render_to_string(f"{template}_subject.txt", everything).split()),
            body=render_to_string(f"{template}.txt", everything),
            to=[to],
            headers={"Message-ID": f"<{message_id.replace(':', '.')}@{sovereign.domain}>"},
        )
        message.attach_alternative(render_to_string(f"{template}.html", everything), "text/html")
    message.send()
