"""API tokens in the console: made, shown once, listed, revoked."""

import re
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from billing.views import tokens
from tenancy.models import ApiToken, Organization, User
from tests.factories import MembershipFactory
from tests.pages.test_team_page import signed_in, text_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sovereign")]

TOKENS = "/console/acme/tokens/"


def sent(client: Client, **changed: Any) -> dict[str, Any]:
    """Return the form as a browser would send it."""
    found = re.search(r'name="key" value="([0-9a-f-]{36})"', text_of(client.get(TOKENS)))
    assert found is not None
    asked = {"key": found[1], "name": "ci", "reach": "organization", "groups": ["read", "fetch"], "days": "30"}
    return {**asked, "env_type": "dev", **changed}


def test_none_yet_then_shown_once(org_admin: User, api: Any) -> None:
    client = signed_in(org_admin)
    assert "You have no tokens yet." in text_of(client.get(TOKENS))
    form = sent(client)

    answer = client.post(TOKENS, form)

    assert (answer.status_code, "no-store" in answer["Cache-Control"]) == (201, True)
    found = re.search(r'value="(cat_[\w-]{40})"', text_of(answer))
    assert found is not None
    assert api.get("/api/v1/organizations/acme/", HTTP_AUTHORIZATION=f"Bearer {found[1]}").status_code == 200
    token = ApiToken.objects.get()
    assert (token.env_type, "git.read" in token.scopes, "git.push" in token.scopes) == ("dev", True, False)
    page = text_of(client.get(TOKENS))
    assert found[1] not in page
    assert "Read the organization, its applications, changes and jobs · Fetch with Git · Development" in page
    assert "Last used" in page
    again = client.post(TOKENS, form)
    assert again.status_code == 422
    assert "This token was made already, and shown once." in text_of(again)


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"name": ""}, "Give the token a name that says what uses it."),
        ({"groups": []}, "Choose what the token may do"),
        ({"everything": "on"}, "Choose what the token may do"),
        ({"groups": ["members"]}, "Select a valid choice."),
    ],
)
def test_what_is_wrong_stands_at_its_field(changed: Any, text: str, org_admin: User) -> None:
    client = signed_in(org_admin)

    answer = client.post(TOKENS, sent(client, **changed))

    assert answer.status_code == 422
    assert text in text_of(answer)
    assert ApiToken.objects.count() == 0


def test_others_make_their_own_within_their_rights(organization: Organization) -> None:
    client = signed_in(MembershipFactory.create(organization=organization, role="org-viewer").user)
    page = text_of(client.get(TOKENS))
    assert "Push with Git" not in page
    assert "Tokens of others" not in page

    assert client.post(TOKENS, sent(client)).status_code == 422
    assert client.post(TOKENS, sent(client, reach="personal", groups=["push"])).status_code == 422
    assert client.post(TOKENS, sent(client, reach="personal", groups=[], everything="on")).status_code == 201

    token = ApiToken.objects.get()
    assert (token.organization, token.scopes) == (None, [])


def test_administrators_and_officers_revoke_those_of_others(org_admin: User, organization: Organization) -> None:
    admin = signed_in(org_admin)
    admin.post(TOKENS, sent(admin))
    token = ApiToken.objects.get()
    revoke = f"{TOKENS}{token.uuid}/revoke/"
    viewer = signed_in(MembershipFactory.create(organization=organization, role="org-viewer").user)
    assert viewer.post(revoke).status_code == 404
    officer = signed_in(MembershipFactory.create(organization=organization, role="security-officer").user)
    assert org_admin.email in text_of(officer.get(TOKENS))

    assert officer.post(revoke)["Location"] == TOKENS

    assert not ApiToken.objects.live().exists()
    assert admin.post(revoke).status_code == 404


def test_to_a_stranger_there_is_nothing(org_admin: User, stranger: User) -> None:
    admin = signed_in(org_admin)
    admin.post(TOKENS, sent(admin))
    token, client = ApiToken.objects.get(), signed_in(stranger)

    for address in (TOKENS, f"{TOKENS}{token.uuid}/revoke/", f"/console/globex/tokens/{token.uuid}/revoke/"):
        assert client.post(address).status_code == 404
    assert ApiToken.objects.live().count() == 1


def test_what_cannot_be_read_is_said(org_admin: User, monkeypatch: Any) -> None:
    def broken(*_arguments: Any) -> Any:
        raise OperationalError

    monkeypatch.setattr(tokens, "own_tokens", broken)
    answer = signed_in(org_admin).get(TOKENS)

    assert answer.status_code == 503
    assert "We couldn't load your tokens." in text_of(answer)
