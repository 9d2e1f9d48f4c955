"""The people of an Organization in the console, and the page that an invitation opens."""

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from billing.views import team
from tenancy.models import Invitation, Membership, Organization, User
from tenancy.services.invitations import invite_member, link_secret, revoke_invitation
from tests.factories import MembershipFactory, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sovereign")]

TEAM = "/console/acme/team/"


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def text_of(answer: Any) -> str:
    return str(answer.content.decode()).replace("&#x27;", "'")


@pytest.fixture
def viewer(organization: Organization) -> Membership:
    return MembershipFactory.create(organization=organization, role="org-viewer", env_types=["dev"])


@pytest.fixture
def invited(organization: Organization, org_admin: User) -> Invitation:
    return invite_member(
        organization=organization, email="sara@example.com", role="org-viewer", actor=org_admin, now=timezone.now()
    )


def test_alone_it_says_so_and_invites(org_admin: User) -> None:
    client = signed_in(org_admin)
    assert "Only you so far." in text_of(client.get(TEAM))

    answer = client.post(
        TEAM, {"email": "Sara@example.com", "role": "org-developer", "env_types": ["dev"], "last_day": "2040-01-31"}
    )

    assert (answer.status_code, answer["Location"]) == (303, TEAM)
    made = Invitation.objects.get()
    assert (made.email, made.role, made.env_types) == ("sara@example.com", "org-developer", ["dev"])
    assert made.member_until is not None
    assert timezone.localtime(made.member_until).isoformat()[:19] == "2040-02-01T00:00:00"
    page = text_of(client.get(TEAM))
    assert "sara@example.com" in page
    assert "Send again" in page


def test_shows_roles_places_and_ends(org_admin: User, viewer: Membership) -> None:
    Membership.objects.filter(pk=viewer.pk).update(expires_at=timezone.now() + timedelta(days=9))

    page = text_of(signed_in(org_admin).get(TEAM))

    assert f"/console/acme/team/{viewer.uuid}/" in page
    assert "Development" in page
    assert "All Environments" in page
    assert "/console/acme/team/leave/" in page


def test_what_is_wrong_stands_at_its_field(org_admin: User) -> None:
    client = signed_in(org_admin)

    for sent, text in [
        ({"email": "", "role": "org-viewer"}, "Enter the e-mail address of whoever is to join."),
        ({"email": org_admin.email, "role": "org-viewer"}, "Change their role instead."),
        ({"email": "a@example.com", "role": "org-admin", "env_types": ["dev"]}, "Only developers and viewers"),
        ({"email": "a@example.com", "role": "org-viewer", "last_day": "2020-01-01"}, "The end lies in the past."),
    ]:
        answer = client.post(TEAM, sent)
        assert answer.status_code == 422
        assert text in text_of(answer)
    assert Invitation.objects.count() == 0


def test_members_without_the_right_see_and_change_nothing(viewer: Membership, invited: Invitation) -> None:
    client = signed_in(viewer.user)
    page = text_of(client.get(TEAM))
    assert "Invite somebody" not in page
    assert "sara@example.com" not in page

    own = f"{TEAM}{viewer.uuid}/"
    for address in (TEAM, own, f"{own}remove/", *actions(invited)):
        assert client.post(address).status_code == 403
    assert Membership.objects.count() == 2
    assert Invitation.objects.open().count() == 1


def test_to_a_stranger_there_is_nothing(stranger: User, viewer: Membership, invited: Invitation) -> None:
    client = signed_in(stranger)
    own = f"{TEAM}{viewer.uuid}/"

    for address in (TEAM, own, f"{TEAM}leave/", f"{own}remove/", *actions(invited)):
        assert client.post(address).status_code == 404
    foreign = f"/console/globex/team/{viewer.uuid}/"
    assert client.post(foreign).status_code == client.post(f"{foreign}remove/").status_code == 404
    assert Membership.objects.filter(organization=viewer.organization).count() == 2


def actions(invited: Invitation) -> list[str]:
    return [f"{TEAM}invitations/{invited.uuid}/{act}/" for act in ("resend", "revoke")]


def test_changes_and_removes(org_admin: User, viewer: Membership) -> None:
    client, own = signed_in(org_admin), f"{TEAM}{viewer.uuid}/"
    assert 'value="dev" id="id_env_types_3" checked' in text_of(client.get(own))

    assert client.post(own, {"role": "org-admin"}).status_code == 303
    viewer.refresh_from_db()
    assert (viewer.role, viewer.env_types) == ("org-admin", None)
    assert client.post(f"{own}remove/").status_code == 303
    assert client.get(own).status_code == 404


def test_nobody_changes_their_own(org_admin: User) -> None:
    own = f"{TEAM}{Membership.objects.get().uuid}/"
    client = signed_in(org_admin)

    assert "Ask another administrator" in text_of(client.get(own))
    assert client.post(own, {"role": "org-viewer"}).status_code == 422
    assert client.post(f"{own}remove/").status_code == 403
    assert Membership.objects.get().role == "org-admin"


def test_leaves_once_confirmed(org_admin: User, viewer: Membership) -> None:
    client = signed_in(viewer.user)
    assert "Leave Acme" in text_of(client.get(f"{TEAM}leave/"))

    assert client.post(f"{TEAM}leave/")["Location"] == "/console/"

    assert client.get(TEAM).status_code == 404
    last = signed_in(org_admin).post(f"{TEAM}leave/")
    assert last.status_code == 409
    assert "The last administrator stays." in text_of(last)


def test_sends_again_and_withdraws(org_admin: User, invited: Invitation) -> None:
    client, (resend, revoke) = signed_in(org_admin), actions(invited)
    assert "Wait five minutes" in text_of(client.post(resend, follow=True))
    Invitation.objects.update(sent_at=timezone.now() - timedelta(days=8), expires_at=timezone.now())
    assert "It has expired. Send it again." in text_of(client.get(TEAM))

    assert "The invitation is sent again." in text_of(client.post(resend, follow=True))
    assert "The invitation is withdrawn." in text_of(client.post(revoke, follow=True))

    assert client.post(revoke).status_code == 404


@pytest.mark.parametrize(
    ("read", "text"),
    [("list_members", "We couldn't load the members."), ("list_invitations", "We couldn't load the invitations.")],
)
def test_what_cannot_be_read_is_said(read: str, text: str, org_admin: User, monkeypatch: Any) -> None:
    def broken(*_arguments: Any) -> Any:
        raise OperationalError

    monkeypatch.setattr(team, read, broken)
    answer = signed_in(org_admin).get(TEAM)

    assert answer.status_code == 503
    assert text in text_of(answer)


def test_a_visitor_learns_nothing_and_signs_in(invited: Invitation) -> None:
    link = f"/join/{link_secret(invited)}/"

    real, guess = Client().get(link), Client().get(f"/join/{'x' * 43}/")

    assert real.status_code == guess.status_code == 200
    assert "Acme" not in text_of(real)
    assert f"/account/sign-in/?next=%2Fjoin%2F{link_secret(invited)}%2F" in text_of(real)


def test_the_wrong_person_is_told(invited: Invitation, stranger: User) -> None:
    client = signed_in(stranger)

    real, guess = client.get(f"/join/{link_secret(invited)}/"), client.get(f"/join/{'x' * 43}/")

    assert real.status_code == guess.status_code == 404
    for page in map(text_of, (real, guess)):
        assert f"There is no invitation for {stranger.email} here." in page
        assert "Acme" not in page


def test_a_newcomer_signs_up_and_joins(invited: Invitation) -> None:
    link, client = f"/join/{link_secret(invited)}/", Client()
    client.post("/account/sign-in/", {"email": "sara@example.com", "next": link})
    code = mail.outbox[-1].body.split(":", 1)[1].split("\n")[0].replace(" ", "")
    arrived = client.post("/account/sign-in/code/", {"code": code, "next": link})
    assert arrived["Location"] == link
    page = text_of(client.get(link))
    assert "Join Acme" in page
    assert "Your role: Viewer." in page

    answer = client.post(link)

    assert (answer.status_code, answer["Location"]) == (303, TEAM)
    assert Membership.objects.get(user__email="sara@example.com").role == "org-viewer"
    used = client.get(link)
    assert used.status_code == 409
    assert "You have accepted this invitation." in text_of(used)
    assert f'href="{TEAM}"' in text_of(used)


def test_expired_and_withdrawn_say_what_to_do(invited: Invitation, org_admin: User) -> None:
    client, link = signed_in(UserFactory.create(email="sara@example.com")), f"/join/{link_secret(invited)}/"
    Invitation.objects.update(expires_at=timezone.now())
    expired = client.get(link)
    assert expired.status_code == 410
    assert "Ask whoever invited you to send it again." in text_of(expired)

    revoke_invitation(invitation_id=invited.pk, actor=org_admin, now=timezone.now())

    withdrawn = client.post(link)
    assert withdrawn.status_code == 410
    assert "Ask an administrator of the organization for a new one." in text_of(withdrawn)


def test_speaks_arabic(org_admin: User) -> None:
    User.objects.filter(pk=org_admin.pk).update(language="ar")

    assert '<html lang="ar" dir="rtl"' in text_of(signed_in(org_admin).get(TEAM))
