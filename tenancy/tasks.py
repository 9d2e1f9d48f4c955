"""What follows the events about people: their mails."""

from catalyst.core.outbox import Message, subscribe
from tenancy.services import member_mails


@subscribe("invitation.sent", name="tenancy.mail_invitation")
def mail_invitation(message: Message) -> None:
    """Send the link."""
    member_mails.mail_invitation(payload=message.payload, event=message.key)


@subscribe("member.changed", name="tenancy.mail_role_changed")
def mail_role_changed(message: Message) -> None:
    """Tell the member."""
    member_mails.mail_role_changed(payload=message.payload, event=message.key)


@subscribe("token.created", name="tenancy.mail_token_created")
def mail_token_created(message: Message) -> None:
    """Tell the owner and the administrators."""
    member_mails.mail_token_created(payload=message.payload, event=message.key)
