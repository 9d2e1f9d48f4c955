"""Tokens that people make for themselves: how many, for how long, once for each form, and who is told."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core import mail

from catalyst.core.errors import PermissionRefused
from catalyst.core.models import Outbox
from tenancy.models import ApiToken, Organization, Sovereign, User
from tenancy.services import tokens
from tenancy.services.tokens import TokenExists, TokenLimit, TokenRefused, create_token
from tests.factories import MembershipFactory
from tests.tenancy.test_invitations import deliver

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)


def make(owner: User, **asked: Any) -> tuple[ApiToken, str]:
    return create_token(**{"owner": owner, "name": "ci", "expires_at": NOW + timedelta(days=90), "now": NOW, **asked})


def test_a_form_sent_twice_makes_one(org_admin: User) -> None:
    key = uuid.uuid4()
    make(org_admin, key=key)

    with pytest.raises(TokenExists):
        make(org_admin, key=key)

    assert ApiToken.objects.count() == Outbox.objects.count() == 1


@pytest.mark.parametrize("asked", [{"name": " "}, {"expires_at": NOW}, {"expires_at": NOW + timedelta(days=367)}])
def test_refuses_no_name_and_no_end(asked: Any, org_admin: User) -> None:
    with pytest.raises(TokenRefused):
        make(org_admin, **asked)

    assert ApiToken.objects.count() == 0


def test_a_person_has_so_many(org_admin: User, monkeypatch: Any) -> None:
    monkeypatch.setattr(tokens, "MOST_TOKENS", 1)
    make(org_admin)

    with pytest.raises(TokenLimit):
        make(org_admin)

    assert ApiToken.objects.count() == 1


@pytest.mark.parametrize("role", ["org-developer", "org-viewer", "security-officer", "billing-admin"])
def test_those_of_the_organization_are_made_by_administrators(role: str, organization: Organization) -> None:
    person = MembershipFactory.create(organization=organization, role=role).user

    with pytest.raises(PermissionRefused):
        make(person, organization=organization)
    make(person)

    assert ApiToken.objects.get().organization is None


def test_the_owner_and_the_administrators_are_told(
    sovereign: Sovereign, organization: Organization, org_admin: User
) -> None:
    other = MembershipFactory.create(organization=organization).user
    MembershipFactory.create(organization=organization, role="org-viewer")
    _token, plaintext = make(org_admin, organization=organization)

    deliver("tenancy.mail_token_created")

    own, theirs = mail.outbox
    assert (own.to, theirs.to) == ([org_admin.email], [other.email])
    assert own.subject == "New API token: ci"
    assert "The token “ci” was made for you." in own.body
    assert f"{org_admin} made the token “ci” at Acme." in theirs.body
    assert "/console/acme/tokens/" in own.body
    assert plaintext not in f"{own.body}{theirs.body}{list(Outbox.objects.values())}"


def test_a_personal_one_is_told_to_its_owner(sovereign: Sovereign, org_admin: User, organization: Organization) -> None:
    MembershipFactory.create(organization=organization)
    make(org_admin)

    deliver("tenancy.mail_token_created")

    (message,) = mail.outbox
    assert message.to == [org_admin.email]
    assert "/console/" in message.body
