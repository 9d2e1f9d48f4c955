"""E-mails about people: an invitation, another role, a new token. Each says what is true when it is written."""

from typing import Any

from django.conf import settings
from django.db.models import Q
from django.urls import reverse

from tenancy.models import ApiToken, Invitation, Membership, User
from tenancy.selectors.sovereign import get_sovereign
from tenancy.services.invitations import link_secret
from tenancy.services.mails import send_mail


def mail_invitation(*, payload: dict[str, Any], event: str) -> bool:
    """Send the link to the invited address, in every language of the Sovereign; return whether it was sent.

    Not sent once the invitation is accepted or withdrawn. ``event`` is the event's key.
    """
    rows = Invitation.objects.open().select_related("organization", "invited_by")
    invitation = rows.filter(uuid=payload["invitation"]).first()
    if invitation is None:
        return False
    languages = list(get_sovereign().languages) or ["en"]
    context = {
        "invitation": invitation,
        "organization": invitation.organization,
        "languages": languages,
        "address": settings.PUBLIC_URL + reverse("join", args=[link_secret(invitation)]),
    }
    send_mail("invitation", to=invitation.email, language=languages[0], message_id=event, context=context)
    return True


def mail_role_changed(*, payload: dict[str, Any], event: str) -> bool:
    """Tell a member what they are now; return whether it was sent, which it is not once the membership is gone."""
    membership = (
        Membership.objects.live()
        .select_related("user", "organization")
        .filter(uuid=payload["membership"], user__is_active=True)
        .first()
    )
    if membership is None:
        return False
    organization, user = membership.organization, membership.user
    context = {
        "membership": membership,
        "organization": organization,
        "address": settings.PUBLIC_URL + reverse("console-team", args=[organization.slug]),
    }
    send_mail("role_changed", to=user.email, language=user.language, message_id=event, context=context)
    return True


def mail_token_created(*, payload: dict[str, Any], event: str) -> int:
    """Tell the owner of a new token, and the administrators where it acts; return how many mails were sent."""
    token = ApiToken.objects.select_related("organization", "user").get(uuid=payload["token"])
    # A personal token stands on the page of each of the person's Organizations.
    page = reverse("console-tokens", args=[token.organization.slug]) if token.organization else reverse("console")
    people = list(_readers(token))
    for person in people:
        context = {"token": token, "is_owner": person.pk == token.user_id, "address": settings.PUBLIC_URL + page}
        message_id = f"{event}:{person.uuid}"
        send_mail("token_created", to=person.email, language=person.language, message_id=message_id, context=context)
    return len(people)


def _readers(token: ApiToken) -> Any:
    readers = Q(pk=token.user_id)
    if token.organization is not None:
        administrators = Membership.objects.live().filter(organization=token.organization, role=Membership.Role.ADMIN)
        readers |= Q(pk__in=administrators.values("user"))
    return User.objects.filter(readers, is_active=True).order_by("pk")
