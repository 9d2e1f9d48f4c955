"""A domain is proven by its TXT record and nothing else; it is lost when the proof is gone for 72 hours."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from catalyst.core.errors import NotFound
from catalyst.core.models import Outbox
from tenancy.models import AuditEntry, Domain, Organization, Sovereign, User
from tenancy.services import domain_checks, domains
from tenancy.services.domain_checks import CheckedJustNow, check_domain, sweep_domains
from tenancy.services.domain_names import DomainInvalid, DomainReserved, normalize_domain
from tenancy.services.domain_proof import ask_proof
from tenancy.services.domains import DomainExists, DomainLimit, add_domain, remove_domain
from tests.dns_server import DnsServer, _running_dns_server, dns_server
from tests.factories import OrganizationFactory

__all__ = ["_running_dns_server", "dns_server"]
pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _sovereign(sovereign: Sovereign) -> None:
    pass


def added(organization: Organization, actor: User, name: str = "acme.com", now: datetime = NOW) -> Domain:
    return add_domain(organization=organization, name=name, actor=actor, now=now)


def checked(domain: Domain, actor: User, now: datetime) -> Domain:
    return check_domain(domain=domain, actor=actor, now=now)


def proven(organization: Organization, actor: User, server: DnsServer, name: str = "acme.com") -> Domain:
    domain = added(organization, actor, name)
    server.prove(name, domain.token)
    assert checked(domain, actor, NOW).state == "verified"
    return domain


def topics() -> list[str]:
    return list(Outbox.objects.filter(topic__startswith="domain.").order_by("id").values_list("topic", flat=True))


def swept(now: datetime) -> Domain:
    """Sweep at this time, and return the one domain."""
    assert sweep_domains(now=now) == 1
    return Domain.objects.get()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (" Shop.ACME.com. ", "shop.acme.com"),
        ("عمان.example.com", "xn--mgb9awbf.example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("ACME。com", "acme.com"),
        ("日本の.example.jp", "xn--u9ju32nb2a.example.jp"),
    ],
)
def test_a_name_has_one_form(text: str, name: str) -> None:
    assert normalize_domain(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "acme",
        "https://acme.com",
        "acme.com/shop",
        "acme.com:443",
        "*.acme.com",
        "_catalyst.acme.com",
        "me@acme.com",
        "192.0.2.1",
        "::1",
        "acme..com",
        "-acme.com",
        "acme-.com",
        "printer.local",
        "acme.onion",
        f"{'a' * 64}.com",
        f"{'a.' * 130}com",
        "xn--a.com",
        "a\u0000b.com",
        "p\u0430ypal.com",  # Cyrillic а
        "αlpha-site.com\u0430.com",
    ],
)
def test_what_is_no_domain_is_refused(text: str) -> None:
    with pytest.raises(DomainInvalid) as refused:
        normalize_domain(text)

    assert refused.value.pointer == "/name"


@pytest.mark.parametrize(
    "text",
    ["com.om", "CO.OM.", "cloud.example.om", "acme.cloud.example.om", "example.om", "shop.omani.rest", "omani.works"],
)
def test_names_of_registries_and_of_the_platform_are_refused(text: str, organization: Any, org_admin: User) -> None:
    with pytest.raises(DomainReserved):
        added(organization, org_admin, text)

    assert (Domain.objects.count(), topics()) == (0, [])


def test_the_record_proves_it(organization: Organization, org_admin: User, dns_server: DnsServer) -> None:
    domain = added(organization, org_admin, "Shop.Acme.COM")
    assert (domain.name, domain.state, len(domain.token)) == ("shop.acme.com", "pending", 32)
    dns_server.texts["_catalyst.shop.acme.com"] = ["v=spf1 -all", f"catalyst-verify={domain.token}"]

    row = checked(domain, org_admin, NOW)

    assert (row.state, row.verified_at, row.trouble) == ("verified", NOW, "")
    assert row.next_check_at == NOW + timedelta(hours=24)
    assert dns_server.asked == ["_catalyst.shop.acme.com TXT"]
    assert topics() == ["domain.added", "domain.verified"]
    assert list(AuditEntry.objects.filter(target=f"domain:{row.uuid}").values_list("action", flat=True)) == topics()
    assert Outbox.objects.get(topic="domain.verified").payload == {
        "organization": "acme",
        "organization_id": organization.pk,
        "domain": "shop.acme.com",
        "domain_id": row.pk,
        "status": "verified",
    }


def test_what_stands_there_instead_is_said(organization: Any, org_admin: User, dns_server: DnsServer) -> None:
    domain = added(organization, org_admin)
    looks = []
    for number, texts in enumerate([None, ["hello"], ["catalyst-verify=" + "x" * 300], [f"x{domain.token}"]]):
        dns_server.texts = {} if texts is None else {"_catalyst.acme.com": texts}
        row = checked(domain, org_admin, NOW + number * HOUR)
        looks.append((row.state, row.trouble, row.found))
    dns_server.is_broken = True
    row = checked(domain, org_admin, NOW + 5 * HOUR)

    assert looks == [
        ("pending", "missing", []),
        ("pending", "other", ["hello"]),
        ("pending", "other", ["catalyst-verify=" + "x" * 104]),
        ("pending", "other", [f"x{domain.token}"]),
    ]
    assert (row.state, row.trouble) == ("pending", "silent")


@pytest.mark.parametrize("is_there", [True, False])
def test_an_alias_proves_nothing(organization: Any, org_admin: User, dns_server: DnsServer, is_there: bool) -> None:
    """A wildcard CNAME, or a forgotten one, leads to whoever rents what it points to."""
    domain = added(organization, org_admin)
    dns_server.aliases["_catalyst.acme.com"] = "attacker.example.net"
    if is_there:
        dns_server.texts["attacker.example.net"] = [f"catalyst-verify={domain.token}"]

    row = checked(domain, org_admin, NOW)

    assert (row.state, row.trouble, row.found) == ("pending", "alias", [])


def test_a_person_looks_every_ten_seconds(organization: Any, org_admin: User, dns_server: DnsServer) -> None:
    domain = added(organization, org_admin)
    checked(domain, org_admin, NOW)

    with pytest.raises(CheckedJustNow) as refused:
        checked(domain, org_admin, NOW + timedelta(seconds=9))

    assert (refused.value.retry_after, len(dns_server.asked)) == (10, 1)
    assert checked(domain, org_admin, NOW + timedelta(seconds=10)).state == "pending"


def test_a_new_one_is_looked_at_less_and_less(organization: Any, org_admin: User, dns_server: DnsServer) -> None:
    added(organization, org_admin)

    waits = {days: swept(NOW + timedelta(days=days)).next_check_at for days in (0, 2, 8)}

    assert waits == {
        0: NOW + timedelta(minutes=5),
        2: NOW + timedelta(days=2) + HOUR,
        8: None,
    }
    assert sweep_domains(now=NOW + timedelta(days=30)) == 0


def test_a_proof_that_is_gone_for_72_hours_is_lost(organization: Any, org_admin: User, dns_server: DnsServer) -> None:
    domain = proven(organization, org_admin, dns_server)
    gone = NOW + timedelta(hours=24)
    dns_server.forget()

    row = swept(gone)
    assert (row.state, row.trouble, row.missing_since, row.next_check_at) == ("verified", "missing", gone, gone + HOUR)
    assert swept(gone + timedelta(hours=71)).state == "verified"
    row = swept(gone + timedelta(hours=72))

    assert (row.state, row.next_check_at) == ("failed", None)
    assert topics() == ["domain.added", "domain.verified", "domain.failed"]
    assert Outbox.objects.get(topic="domain.failed").payload["trouble"] == "missing"
    dns_server.prove("acme.com", domain.token)
    assert checked(row, org_admin, gone + timedelta(hours=80)).state == "verified"


def test_a_proof_that_comes_back_in_time_stands(organization: Any, org_admin: User, dns_server: DnsServer) -> None:
    domain = proven(organization, org_admin, dns_server)
    dns_server.forget()
    swept(NOW + timedelta(hours=24))
    dns_server.prove("acme.com", domain.token)
    row = swept(NOW + timedelta(hours=90))
    assert (row.state, row.missing_since, row.verified_at) == ("verified", None, NOW)
    dns_server.forget()

    # The 72 hours begin anew.
    assert swept(NOW + timedelta(hours=114)).missing_since == NOW + timedelta(hours=114)
    assert swept(NOW + timedelta(hours=160)).state == "verified"
    assert "domain.failed" not in topics()


def test_a_dns_that_does_not_answer_says_nothing(organization: Any, org_admin: User, dns_server: DnsServer) -> None:
    proven(organization, org_admin, dns_server)
    dns_server.is_broken = True

    for hours in (24, 100, 200):
        row = swept(NOW + timedelta(hours=hours))

    assert (row.state, row.trouble, row.missing_since) == ("verified", "silent", None)


def test_one_list_has_a_name_once(organization: Any, org_admin: User, monkeypatch: pytest.MonkeyPatch) -> None:
    domain = added(organization, org_admin)
    monkeypatch.setattr(domains, "MOST_DOMAINS", 2)

    with pytest.raises(DomainExists):
        added(organization, org_admin, "ACME.com.")
    added(organization, org_admin, "second.com")
    with pytest.raises(DomainLimit):
        added(organization, org_admin, "third.com")

    assert Domain.objects.count() == len(topics()) == 2
    remove_domain(domain_id=domain.pk, actor=org_admin, now=NOW)
    assert added(organization, org_admin, "third.com").state == "pending"


def test_the_old_record_proves_nothing_after_removal(organization: Any, org_admin: User, dns_server: DnsServer) -> None:
    domain = proven(organization, org_admin, dns_server)
    remove_domain(domain_id=domain.pk, actor=org_admin, now=NOW)
    for call in (
        lambda: remove_domain(domain_id=domain.pk, actor=org_admin, now=NOW),
        lambda: domain_checks.record_answer(
            domain_id=domain.pk, answer=ask_proof("acme.com"), actor=org_admin, now=NOW
        ),
    ):
        with pytest.raises(NotFound):
            call()

    again = added(organization, org_admin)

    assert again.token != domain.token
    assert checked(again, org_admin, NOW).state == "pending"
    assert topics() == ["domain.added", "domain.verified", "domain.removed", "domain.added"]


def test_whoever_proved_it_first_keeps_it(
    organization: Any, org_admin: User, stranger: User, dns_server: DnsServer
) -> None:
    first = proven(organization, org_admin, dns_server)
    second = added(Organization.objects.get(slug="globex"), stranger)
    dns_server.prove("acme.com", first.token, second.token)

    row = checked(second, stranger, NOW + HOUR)

    # Nothing that was stored for them names the other one.
    assert (row.state, row.trouble, row.found) == ("pending", "taken", [])
    first.refresh_from_db()
    assert first.state == "verified"


def test_the_proof_decides_between_two(
    organization: Any, org_admin: User, stranger: User, dns_server: DnsServer
) -> None:
    first = proven(organization, org_admin, dns_server)
    second = added(Organization.objects.get(slug="globex"), stranger)
    dns_server.prove("acme.com", second.token)

    row = checked(second, stranger, NOW + HOUR)

    assert row.state == "verified"
    first.refresh_from_db()
    assert (first.state, first.trouble, first.found) == ("failed", "other", [])
    failed = Outbox.objects.get(topic="domain.failed")
    assert (failed.stream, "globex" in str(failed.payload)) == (f"organization:{organization.pk}", False)


def test_domains_of_a_deleted_organization_are_given_up(org_admin: User, dns_server: DnsServer) -> None:
    gone = OrganizationFactory.create(slug="gone")
    domain = proven(gone, org_admin, dns_server)
    Organization.objects.filter(pk=gone.pk).update(state="deleting")
    Organization.objects.filter(pk=gone.pk).update(state="deleted", deleted_at=NOW)

    assert sweep_domains(now=NOW) == 0

    domain.refresh_from_db()
    assert domain.state == "released"
