"""A host stands in a configuration when it is proven, and one host is one Application's, however it is asked for."""

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.http import QueryDict

from catalyst.core.errors import DomainError
from marketplace.forms.schema_form import SchemaForm
from marketplace.models import Application, ApplicationEdit, Change
from marketplace.selectors.form_surroundings import surroundings_of
from marketplace.selectors.own_hosts import OwnHosts, users_of
from marketplace.services import host_claims
from marketplace.services.change_previews import PreviewHasProblems, apply_preview
from marketplace.services.edits_config import ConfigurationRefused, schema_of
from marketplace.services.edits_configuration import plan_configuration
from marketplace.services.host_claims import HostUnavailable
from marketplace.services.planner_request import Configure, Install
from marketplace.services.selection_settings import check_settings
from tenancy.models import Domain, Organization, Sovereign, User
from tenancy.services.domains import DomainInUse, remove_domain
from tests.factories import DomainFactory, OrganizationFactory
from tests.marketplace.conftest import nothing_is_sold
from tests.marketplace.deliver_rows import LATER
from tests.marketplace.test_promotion import Stage
from tests.marketplace.upgrade_rows import publish, settings_of

__all__ = ["nothing_is_sold"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("nothing_is_sold")]

HOST = {
    "type": "string",
    "format": "hostname",
    "title": "Host",
    "x-catalyst-env-specific": True,
    "x-catalyst-ui-hint": "domain-picker",
}
SCHEMA = settings_of("title", "smtp", hostname=HOST)


@pytest.fixture
def stages(
    sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any
) -> tuple[Stage, Stage]:
    """Return dev and stg, both with a wiki; acme.com is proven."""
    publish("wiki", "1.2.0", spec={"configSchema": SCHEMA})
    DomainFactory.create(organization=organization, name="acme.com")
    dev, stg = (Stage(organization, env_type, org_admin) for env_type in ("dev", "stg"))
    for stage in (dev, stg):
        stage.do(install=(Install(blueprint="bp-wiki", config={"title": "Old"}),))
    return dev, stg


def asked(hostname: str, **more: str) -> dict[str, Any]:
    return {"configure": (Configure(application="wiki", config={"title": "Old", "hostname": hostname, **more}),)}


def said(stage: Stage, hostname: str) -> list[str]:
    return [each["detail"] for each in stage.look(**asked(hostname)).shown["problems"]]


def not_proven(host: str) -> str:
    return f"Leave this empty: {host} is not proven to be yours."


def test_a_host_belongs_to_the_nearest_name_that_is_proven(organization: Organization) -> None:
    other = OrganizationFactory.create(slug="globex")
    for name in ("acme.com", "shop.sales.acme.com"):
        DomainFactory.create(organization=organization, name=name)
    for name in ("sales.acme.com", "acme.net"):
        DomainFactory.create(organization=other, name=name)
    for state in ("pending", "failed", "released"):
        DomainFactory.create(organization=organization, name=f"{state}.org", state=state)
    hosts = OwnHosts(organization.pk)
    wanted = """acme.com www.acme.com a.b.acme.com shop.sales.acme.com x.shop.sales.acme.com
        sales.acme.com www.sales.acme.com acme.net notacme.com com pending.org failed.org released.org ACME.com"""

    assert [host for host in wanted.split() if host in hosts] == wanted.split()[:5]
    assert "www.sales.acme.com" in OwnHosts(other.pk)


def test_every_way_takes_a_proven_host(stages: tuple[Stage, Stage], org_admin: User) -> None:
    dev, stg = stages
    dev.do(**asked("docs.acme.com"))
    plan_configuration(
        environment=stg.environment(),
        application="wiki",
        config={"title": "Old", "hostname": "acme.com"},
        actor=org_admin,
        reason="",
        now=LATER,
        key="",
    )
    row = dev.row("wiki")
    check_settings(
        {"bp-wiki": SCHEMA},
        {"bp-wiki": {"title": "x", "hostname": "new.acme.com"}},
        buyer_email="",
        hosts=OwnHosts(row.organization_id),
    )
    schema = schema_of(row.blueprint_version)
    form = SchemaForm(
        schema,
        initial=row.config,
        language="en",
        around=surroundings_of(row),
        data=QueryDict("config.title=Old&config.hostname=wiki.acme.com"),
    )

    assert row.config["hostname"] == "docs.acme.com"
    assert ApplicationEdit.objects.get(application__environment=stg.pk).config["hostname"] == "acme.com"
    assert surroundings_of(row).offered_hosts == ("docs.acme.com", "wiki.acme.com")
    assert (form.is_valid(), form.values["hostname"]) == (True, "wiki.acme.com")
    assert users_of("docs.acme.com", "wiki.acme.com") == {"docs.acme.com": {row.pk}}


def test_every_way_refuses_one_that_is_not(stages: tuple[Stage, Stage], org_admin: User) -> None:
    dev, stg = stages
    config = {"title": "Old", "hostname": "evil.com"}
    with pytest.raises(ConfigurationRefused):
        plan_configuration(
            environment=dev.environment(),
            application="wiki",
            config=config,
            actor=org_admin,
            reason="",
            now=LATER,
            key="",
        )
    with pytest.raises(ConfigurationRefused):
        check_settings(
            {"bp-wiki": SCHEMA}, {"bp-wiki": config}, buyer_email="", hosts=OwnHosts(dev.row("wiki").organization_id)
        )
    preview = stg.look(install=(Install(blueprint="bp-wiki", name="second", config=config),))

    assert said(dev, "evil.com") == [f"hostname: {not_proven('evil.com')}"]
    assert [each["detail"] for each in preview.shown["problems"]] == [f"hostname: {not_proven('evil.com')}"]
    assert [row.config for row in Application.objects.all()] == [{"title": "Old"}] * 2
    assert not ApplicationEdit.objects.exists()


def test_one_host_is_one_application_s(stages: tuple[Stage, Stage]) -> None:
    dev, stg = stages
    dev.do(**asked("docs.acme.com", smtp="mail.acme.com"))

    assert said(stg, "docs.acme.com") == [
        "hostname: docs.acme.com is the address of another Application. Choose another one."
    ]
    # It is a host only where the schema asks for one; and who has it keeps it.
    assert said(stg, "mail.acme.com") == []
    assert said(dev, "docs.acme.com") == []
    two = tuple(Install(blueprint="bp-wiki", name=name, config={"hostname": "acme.com"}) for name in ("one", "two"))
    preview = stg.look(install=two[:1])
    assert preview.shown["problems"] == []
    dev.do(**asked("other.acme.com"))
    assert said(stg, "docs.acme.com") == []


def test_what_runs_keeps_its_host_when_the_proof_is_lost(stages: tuple[Stage, Stage]) -> None:
    dev, stg = stages
    dev.do(**asked("docs.acme.com"))
    Domain.objects.update(state="failed")

    assert dev.do(**asked("docs.acme.com", smtp="new")).commit
    assert said(stg, "stg.acme.com") == [f"hostname: {not_proven('stg.acme.com')}"]
    # Somebody else proves it: the next change has to give it another address.
    DomainFactory.create(organization=OrganizationFactory.create(), name="acme.com")
    assert said(dev, "docs.acme.com") == [f"hostname: {not_proven('docs.acme.com')}"]


def test_a_host_does_not_come_back_by_a_roll_back(stages: tuple[Stage, Stage], org_admin: User) -> None:
    dev, stg = stages
    dev.do(**asked("docs.acme.com"))
    moved = dev.do(**asked("new.acme.com"))
    stg.do(**asked("docs.acme.com"))

    preview = dev.look(revert=str(moved.pk))

    text = "wiki: docs.acme.com is the address of another Application. Choose another one."
    assert [(each["code"], each["detail"]) for each in preview.shown["problems"]] == [("host_unavailable", text)]
    with pytest.raises(PreviewHasProblems):
        apply_preview(environment=dev.environment(), preview_id=preview.pk, actor=org_admin, now=LATER)


def test_a_domain_that_is_used_is_not_removed(stages: tuple[Stage, Stage], org_admin: User) -> None:
    dev, _stg = stages
    domain = Domain.objects.get()
    preview = dev.look(**asked("docs.acme.com"))
    apply_preview(environment=dev.environment(), preview_id=preview.pk, actor=org_admin, now=LATER)

    # Not saved yet, and used all the same.
    with pytest.raises(DomainInUse) as refused:
        remove_domain(domain_id=domain.pk, actor=org_admin, now=LATER)

    assert refused.value.extra == {"used_by": ["acme-dev/wiki"]}
    assert Domain.objects.get().state == "verified"
    Change.objects.filter(preview=preview).update(state="cancelled")
    remove_domain(domain_id=domain.pk, actor=org_admin, now=LATER)
    assert Domain.objects.get().state == "released"


def race(*works: Callable[[], Any]) -> list[str]:
    """Start all at one barrier; return their outcomes, sorted: ``done`` or the code of the refusal."""
    barrier, outcomes = threading.Barrier(len(works)), []

    def run(work: Callable[[], Any]) -> None:
        try:
            connection.ensure_connection()
            barrier.wait(10)
            work()
            outcomes.append("done")
        except DomainError as refusal:
            outcomes.append(refusal.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(outcomes)


def apply_both(stages: tuple[Stage, Stage], org_admin: User, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Apply two previews that want one host, both past every earlier judgment when the first one is written."""
    previews = [stage.look(**asked("docs.acme.com")) for stage in stages]
    past, judged = threading.Barrier(2), host_claims.claim_hosts

    def claim(*arguments: Any) -> None:
        past.wait(10)
        judged(*arguments)

    monkeypatch.setattr("marketplace.services.edits.claim_hosts", claim)

    def apply(stage: Stage, preview: Any) -> None:
        apply_preview(environment=stage.environment(), preview_id=preview.pk, actor=org_admin, now=LATER)

    return race(*(lambda a=a, b=b: apply(a, b) for a, b in zip(stages, previews, strict=True)))


def test_of_two_at_once_one_gets_the_host(
    stages: tuple[Stage, Stage], org_admin: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert apply_both(stages, org_admin, monkeypatch) == ["done", "host_unavailable"]
    assert [json.dumps(edit.config) for edit in ApplicationEdit.objects.all()] == [
        '{"title": "Old", "hostname": "docs.acme.com"}'
    ]


def test_the_race_is_there(stages: tuple[Stage, Stage], org_admin: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: judged without the lock, both get it."""
    looked = threading.Barrier(2)

    def without_lock(environment: Any, edits: Any, added: Any) -> None:
        for slug, text in host_claims.find_host_problems(environment, edits, added):
            raise HostUnavailable(f"{slug}: {text}")
        looked.wait(10)

    monkeypatch.setattr(host_claims, "claim_hosts", without_lock)

    assert apply_both(stages, org_admin, monkeypatch) == ["done", "done"]
    assert ApplicationEdit.objects.filter(config__hostname="docs.acme.com").count() == 2
