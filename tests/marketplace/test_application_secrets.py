"""Secrets of Applications: who may set one, where it stands, and that none is taken that would go nowhere."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import Error, connection, transaction

from catalyst.core.crypto import SealBroken, unseal
from catalyst.core.errors import DomainError, NotFound, PermissionRefused
from marketplace.models import Application, ApplicationSecret, Change
from marketplace.services.application_secrets import SecretRefused, SecretStoreMissing, write_secret
from tenancy.models import AuditEntry, Membership, Organization, User
from tests.conftest import owner_connection
from tests.factories import BlueprintVersionFactory, EnvironmentFactory, MembershipFactory
from tests.marketplace.deliver_rows import NOW

pytestmark = pytest.mark.django_db(transaction=True)

CANARY = "Canary-4711-swordfish"
PASSWORD = {"type": "string", "x-catalyst-ui-hint": "password"}
MAIL = {"type": "object", "properties": {"password": PASSWORD, "host": {"type": "string"}}}
SCHEMA = {"type": "object", "properties": {"mailPassword": PASSWORD, "mail": MAIL}}


@pytest.fixture
def wiki(organization: Organization, org_admin: User) -> Application:
    return install(organization, org_admin)


def install(organization: Organization, author: User) -> Application:
    environment = EnvironmentFactory.create(organization=organization)
    change = Change.objects.create(organization=organization, environment=environment, author=author)
    return Application.objects.create(
        organization=organization,
        environment=environment,
        slug="wiki",
        blueprint_version=BlueprintVersionFactory.create(contract={"spec": {"configSchema": SCHEMA}}),
        version_range="^1",
        change=change,
    )


def write(wiki: Application, actor: User, **changes: Any) -> ApplicationSecret:
    asked = {"name": "mailPassword", "value": CANARY, "now": NOW, **changes}
    return write_secret(application=wiki, actor=actor, **asked)


def place(row: ApplicationSecret, **changes: Any) -> dict[str, str]:
    application = changes.get("application", row.application_id)
    return {
        "place": f"marketplace_applicationsecret:{application}:{changes.get('name', row.name)}:ciphertext",
        "scope": f"organization:{changes.get('organization', row.organization_id)}",
    }


def test_it_opens_only_in_its_own_place(wiki: Application, org_admin: User) -> None:
    row = write(wiki, org_admin)

    assert unseal(row.ciphertext, **place(row)) == CANARY
    for moved in ({"application": 0}, {"name": "other"}, {"organization": 0}):
        with pytest.raises(SealBroken):
            unseal(row.ciphertext, **place(row, **moved))


def test_the_trail_says_who_set_which_one(wiki: Application, org_admin: User) -> None:
    write(wiki, org_admin)

    entry = AuditEntry.objects.get(action="secret.written")
    assert entry.actor == f"user:{org_admin.uuid}"
    assert entry.detail == {"application": "wiki", "secret": "mailPassword"}


def test_a_new_value_takes_the_place_of_the_old_one(wiki: Application, org_admin: User) -> None:
    first = write(wiki, org_admin, value="first")

    second = write(wiki, org_admin, now=NOW + timedelta(days=1))

    assert (second.pk, second.set_at) == (first.pk, NOW + timedelta(days=1))
    assert unseal(ApplicationSecret.objects.get().ciphertext, **place(second)) == CANARY


@pytest.mark.parametrize("role", [Membership.Role.VIEWER, Membership.Role.BILLING])
def test_others_may_not(wiki: Application, role: str) -> None:
    person = MembershipFactory.create(organization=wiki.organization, role=role).user

    refused(wiki, person, PermissionRefused)


def test_a_stranger_may_not(wiki: Application) -> None:
    refused(wiki, MembershipFactory.create().user, PermissionRefused)


def test_a_developer_may(wiki: Application) -> None:
    person = MembershipFactory.create(organization=wiki.organization, role=Membership.Role.DEVELOPER).user

    assert write(wiki, person).set_by == person


def test_none_is_taken_where_no_store_is_set(wiki: Application, org_admin: User, settings: Any) -> None:
    settings.SECRET_STORE = ""

    refused(wiki, org_admin, SecretStoreMissing)


@pytest.mark.parametrize("name", ["other", "mail.host", "mail"])
def test_nothing_is_kept_that_nobody_reads(wiki: Application, org_admin: User, name: str) -> None:
    refused(wiki, org_admin, NotFound, name=name)


@pytest.mark.parametrize("name", ["", "-x", "x" * 64, "a b"])
def test_a_name_is_that_of_a_setting(wiki: Application, org_admin: User, name: str) -> None:
    refused(wiki, org_admin, SecretRefused, name=name)


def test_a_setting_may_stand_in_a_group(wiki: Application, org_admin: User) -> None:
    assert write(wiki, org_admin, name="mail.password").name == "mail.password"


@pytest.mark.parametrize("value", ["", "x" * 8193, "a\x00b"])
def test_a_value_has_a_length(wiki: Application, org_admin: User, value: str) -> None:
    refused(wiki, org_admin, SecretRefused, value=value)


def test_the_database_keeps_it_sealed_and_in_place(wiki: Application, org_admin: User) -> None:
    row = write(wiki, org_admin)

    for statement in (
        "UPDATE marketplace_applicationsecret SET ciphertext = 'plain'",
        "UPDATE marketplace_applicationsecret SET ciphertext = ''",
        "UPDATE marketplace_applicationsecret SET delivered_at = now()",
        "UPDATE marketplace_applicationsecret SET set_by_id = NULL",
        "UPDATE marketplace_applicationsecret SET name = 'other'",
        "UPDATE marketplace_applicationsecret SET issuer = 'other'",
        "UPDATE marketplace_applicationsecret SET organization_id = organization_id + 1",
        "DELETE FROM marketplace_applicationsecret",
    ):
        with pytest.raises(Error), transaction.atomic(durable=True), connection.cursor() as cursor:
            cursor.execute(statement)
    with owner_connection() as owner, pytest.raises(Exception, match="applicationsecret"):
        owner.execute("DELETE FROM marketplace_applicationsecret")
    row.refresh_from_db()
    assert unseal(row.ciphertext, **place(row)) == CANARY


def refused(wiki: Application, actor: User, error: type[DomainError], **changes: Any) -> None:
    with pytest.raises(error):
        write(wiki, actor, **changes)
    assert ApplicationSecret.objects.count() == 0
    assert AuditEntry.objects.filter(action="secret.written").count() == 0
