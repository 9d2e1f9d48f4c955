"""The page of the domains: what it shows in each state, and what it takes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from billing.views import domains as page_of_domains
from tenancy.models import Domain, Membership, Organization, Sovereign, User
from tests.dns_server import DnsServer, _running_dns_server, dns_server
from tests.factories import DomainFactory, MembershipFactory

__all__ = ["_running_dns_server", "dns_server"]
pytestmark = pytest.mark.django_db(transaction=True)

DOMAINS = "/console/acme/domains/"
NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


@pytest.fixture
def reader(sovereign: Sovereign, org_admin: User, client: Client) -> Client:
    client.force_login(org_admin)
    return client


def page(client: Client, status: int = 200, **sent: str) -> str:
    answer = client.post(DOMAINS, sent, follow=True) if sent else client.get(DOMAINS)
    assert answer.status_code == status
    return str(answer.content.decode()).replace("&#x27;", "'").replace("&quot;", '"')


def test_nothing_yet(reader: Client) -> None:
    html = page(reader)

    assert "Default address only" in html
    assert 'name="name"' in html
    assert 'aria-current="page">Domains' in html


def test_add_prove_and_remove(reader: Client, dns_server: DnsServer) -> None:
    html = page(reader, action="add", name="Acme.com")
    domain = Domain.objects.get()
    assert "acme.com is in the list. Now set its record in the DNS." in html
    assert 'value="_catalyst.acme.com" readonly' in html
    assert f'value="catalyst-verify={domain.token}" readonly' in html
    assert "Waiting for DNS" in html
    dns_server.texts["_catalyst.acme.com"] = ["<b>other</b>"]

    html = page(reader, action="check", domain=str(domain.uuid))
    assert "We did not find the record of acme.com." in html
    assert "&lt;b&gt;other&lt;/b&gt;" in html
    html = page(reader, 429, action="check", domain=str(domain.uuid))
    assert "We looked a moment ago." in html
    dns_server.prove("acme.com", domain.token)
    Domain.objects.update(last_checked_at=None)
    html = page(reader, action="check", domain=str(domain.uuid))
    assert "acme.com is proven to be yours." in html
    assert "Leave the TXT record where it is" in html
    assert domain.token not in html

    assert "acme.com is removed." in page(reader, action="remove", domain=str(domain.uuid))
    page(reader, 404, action="check", domain=str(domain.uuid))
    page(reader, 404, action="remove", domain="x")


def test_what_is_wrong_stands_at_the_field(reader: Client) -> None:
    html = page(reader, 422, action="add", name="https://acme.com")

    assert 'value="https://acme.com"' in html
    assert 'id="id_name-error"' in html
    assert "Enter a domain like shop.example.com, without https:// and without a path." in html
    assert "<title>Error:" in html


@pytest.mark.parametrize(
    ("state", "fields", "said"),
    [
        ("pending", {"trouble": "missing"}, "We found no record there."),
        ("pending", {"trouble": "alias"}, "We found an alias (CNAME) there, which proves nothing."),
        ("pending", {"trouble": "silent"}, "The DNS of this domain did not answer."),
        ("pending", {"trouble": "taken"}, "This domain is not available"),
        ("failed", {"trouble": "missing"}, "What runs under it goes on running, but you cannot give it"),
        (
            "verified",
            {"trouble": "missing", "missing_since": NOW},
            "Its record is gone. Put it back before ",
        ),
    ],
)
def test_every_state_says_what_to_do(
    reader: Client, organization: Organization, state: str, fields: dict[str, Any], said: str
) -> None:
    domain = DomainFactory.create(
        organization=organization, name="xn--mgb9awbf.com", state=state, last_checked_at=NOW, **fields
    )

    html = page(reader)

    assert said in html
    assert domain.token in html
    assert "عمان.com" in html


def test_what_cannot_be_read_never_looks_empty(reader: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_arguments: object) -> None:
        raise OperationalError

    monkeypatch.setattr(page_of_domains, "list_domains", gone)

    html = page(reader, 503)

    assert "We couldn't load your domains. Your applications are not affected." in html
    assert "Default address only" not in html


def test_roles_and_strangers(sovereign: Sovereign, organization: Organization, stranger: User, client: Client) -> None:
    domain = DomainFactory.create(organization=organization, name="acme.com", created_at=NOW - timedelta(days=1))
    removal = {"action": "remove", "domain": str(domain.uuid)}
    for role, read in ((Membership.Role.VIEWER, 200), (Membership.Role.BILLING, 403)):
        client.force_login(MembershipFactory.create(organization=organization, role=role).user)
        assert "Check now" not in page(client, read)
        page(client, 403, **removal)
    client.force_login(stranger)
    page(client, 404)
    page(client, 404, **removal)

    assert Domain.objects.get().state == "verified"


def test_in_arabic(reader: Client, organization: Organization) -> None:
    DomainFactory.create(organization=organization, name="acme.com", state="pending")
    User.objects.update(language="ar")

    html = page(reader)

    assert '<html lang="ar" dir="rtl"' in html
    assert 'value="_catalyst.acme.com" readonly dir="ltr"' in html
