"""Domains over HTTP, and the mails that their administrators get."""

from typing import Any

import pytest
from django.core import mail

from billing.services.domain_mail import mail_domain
from tenancy.models import Domain, Membership, Organization, Sovereign, User
from tests.dns_server import DnsServer, _running_dns_server, dns_server
from tests.factories import DomainFactory, MembershipFactory, UserFactory

__all__ = ["_running_dns_server", "dns_server"]
pytestmark = pytest.mark.django_db(transaction=True)

DOMAINS = "/api/v1/organizations/acme/domains/"


@pytest.fixture(autouse=True)
def _sovereign(sovereign: Sovereign) -> None:
    pass


def code(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


def test_add_prove_and_remove(org_admin: User, api_as: Any, dns_server: DnsServer) -> None:
    client = api_as(org_admin)
    answer = client.post(DOMAINS, {"name": "Shop.Acme.com"}, format="json")
    body = answer.json()
    place = f"{DOMAINS}{body['id']}/"
    token = Domain.objects.get().token

    assert (answer.status_code, body["name"], body["state"]) == (201, "shop.acme.com", "pending")
    assert body["record"] == {
        "type": "TXT",
        "name": "_catalyst.shop.acme.com",
        "value": f"catalyst-verify={token}",
    }
    dns_server.prove("shop.acme.com", token)
    answer = client.post(f"{place}check/")
    assert (answer.status_code, answer.json()["state"]) == (200, "verified")
    again = client.post(f"{place}check/")
    assert code(again) == (429, "checked_just_now")
    assert again["Retry-After"] == "10"
    assert client.get(DOMAINS).json()["results"] == [client.get(place).json()]
    assert client.delete(place).status_code == 204
    assert code(client.get(place)) == code(client.delete(place)) == (404, "not_found")
    assert client.get(DOMAINS).json()["results"] == []


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({"name": "acme"}, (422, "domain_invalid")),
        ({"name": "x.cloud.example.om"}, (422, "domain_reserved")),
        ({"name": "known.com"}, (409, "domain_exists")),
        ({"name": "acme.com", "token": "mine"}, (400, "invalid_request")),
        ({}, (400, "invalid_request")),
    ],
)
def test_refuses_by_code(body: Any, refusal: Any, organization: Organization, org_admin: User, api_as: Any) -> None:
    DomainFactory.create(organization=organization, name="known.com")

    assert code(api_as(org_admin).post(DOMAINS, body, format="json")) == refusal
    assert Domain.objects.count() == 1


def test_strangers_see_nothing_and_members_read(
    organization: Organization, stranger: User, api_as: Any, dns_server: DnsServer
) -> None:
    place = f"{DOMAINS}{DomainFactory.create(organization=organization).uuid}/"
    viewer, billing = (
        MembershipFactory.create(organization=organization, role=role).user
        for role in (Membership.Role.VIEWER, Membership.Role.BILLING)
    )

    for user, read, write in ((stranger, 404, 404), (viewer, 200, 403), (billing, 403, 403)):
        client = api_as(user)
        assert [client.get(DOMAINS).status_code, client.get(place).status_code] == [read] * 2
        writes = [
            client.post(DOMAINS, {"name": "x.com"}, format="json"),
            client.post(f"{place}check/"),
            client.delete(place),
        ]
        assert [answer.status_code for answer in writes] == [write] * 3
    foreign = f"/api/v1/organizations/globex/domains/{place.rsplit('/', 2)[1]}/"
    assert api_as(stranger).get(foreign).status_code == 404
    assert (Domain.objects.get().state, dns_server.asked) == ("verified", [])


def test_a_suspended_organization_adds_nothing(organization: Organization, org_admin: User, api_as: Any) -> None:
    Organization.objects.filter(pk=organization.pk).update(state="suspended", state_reason="Not paid.")

    assert code(api_as(org_admin).post(DOMAINS, {"name": "x.com"}, format="json")) == (409, "organization_suspended")


def test_administrators_hear_of_it_in_their_language(organization: Organization, org_admin: User) -> None:
    arab = UserFactory.create(language="ar")
    MembershipFactory.create(organization=organization, user=arab)
    MembershipFactory.create(organization=organization, role=Membership.Role.VIEWER)
    domain = DomainFactory.create(organization=organization, name="acme.com")
    said = {"domain_id": domain.pk}

    assert mail_domain(topic="domain.verified", payload=said, event="domain.verified:1:2") == 2
    # It is not so, so nobody is told.
    assert mail_domain(topic="domain.failed", payload=said, event="domain.failed:1:2") == 0
    Domain.objects.update(state="failed")
    assert mail_domain(topic="domain.failed", payload=said, event="domain.failed:1:3") == 2

    active, active_ar, failed, _failed_ar = mail.outbox
    assert (active.subject, active.to) == ("acme.com is active", [org_admin.email])
    assert (active_ar.to, active_ar.extra_headers["Message-ID"]) == (
        [arab.email],
        f"<domain.verified.1.2.{arab.pk}@cloud.example.om>",
    )
    assert failed.subject == "acme.com needs attention"
    assert f"_catalyst.acme.com\ncatalyst-verify={domain.token}" in failed.body
    assert "/console/acme/domains/" in failed.body
