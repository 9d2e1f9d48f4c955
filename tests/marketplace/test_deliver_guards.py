"""What the database itself refuses of Changes and Applications, and what no commit may hold."""

from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, transaction

from catalyst.core.database import execute
from marketplace.models import Application, Change
from tenancy.models import Environment, Organization, Sovereign, User
from tests.factories import EnvironmentFactory, OrganizationFactory
from tests.marketplace.deliver_rows import NOW, Desk, open_desk

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any) -> Desk:
    return open_desk(organization, org_admin)


@pytest.fixture
def foreign(db: None) -> Environment:
    return EnvironmentFactory.create(organization=OrganizationFactory.create(slug="globex"))


def test_a_change_stays_in_an_environment_of_its_organization(desk: Desk, foreign: Environment) -> None:
    with pytest.raises(IntegrityError, match="change_environment"), transaction.atomic(savepoint=True):
        Change.objects.create(organization=desk.organization, environment=foreign, author=desk.buyer)

    assert Change.objects.count() == 0


@pytest.mark.parametrize("rule", ["application_environment", "application_change"])
def test_an_application_stays_in_its_organization(desk: Desk, foreign: Environment, rule: str) -> None:
    change = desk.deliver()
    row = Application.objects.get(slug="wordpress")
    others = Change.objects.create(organization=foreign.organization, environment=foreign, author=desk.buyer)
    moved = {"environment": foreign} if rule == "application_environment" else {"change": others}

    with pytest.raises(IntegrityError, match=rule), transaction.atomic(savepoint=True):
        Application.objects.filter(pk=row.pk).update(**moved)

    row.refresh_from_db()
    assert (row.environment_id, row.change_id) == (change.environment_id, change.pk)


@pytest.mark.parametrize("table", ["marketplace_change", "marketplace_application"])
def test_the_application_role_deletes_neither(desk: Desk, table: str) -> None:
    desk.deliver()

    with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic(savepoint=True):
        execute(f"DELETE FROM {table}")

    assert Change.objects.count() == 1


def test_what_cannot_be_rendered_is_refused_and_nothing_is_written(desk: Desk) -> None:
    change = desk.deliver()
    Application.objects.filter(slug="wordpress").update(config={"adminEmail": 1.5})

    second = desk.deliver(desk.order("OMN-2026-000002", "bp-uptime-kuma"))

    assert (second.state, second.commit) == ("failed", "")
    assert [commit.sha for commit in desk.history()] == [change.commit]
    assert change.committed_at == NOW.replace(microsecond=0)
