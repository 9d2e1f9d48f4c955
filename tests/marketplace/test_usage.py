"""Which of my Applications use this: across Environments, directly or through others, never anybody else's."""

import pytest

from marketplace.models import BlueprintVersion
from marketplace.selectors.usage import Use, applications_using
from tenancy.models import Organization, Sovereign
from tests.factories import OrganizationFactory
from tests.marketplace.upgrade_rows import needs, publish
from tests.marketplace.version_rows import install

pytestmark = pytest.mark.django_db


@pytest.fixture
def sql(sovereign: Sovereign) -> BlueprintVersion:
    return publish("sql", "1.0.0", kind="service")


def test_each_environment_and_through_whom(organization: Organization, sql: BlueprintVersion) -> None:
    newer = publish("sql", "1.1.0", kind="service")
    wiki = publish("wiki", "1.0.0", depends=[needs("sql", "^1.0", "db")])
    install(organization, "wiki", wiki, db="shared-sql")
    install(organization, "shared-sql", sql, "shop", "wiki")
    install(organization, "books", newer, env_type="dev")
    other = OrganizationFactory.create(slug="globex")
    install(other, "secret", sql)

    found = applications_using(organization, "bp-sql")

    assert found == (
        Use("books", "acme-dev", "dev", "1.1.0", "public", ()),
        Use("shared-sql", "acme-prod", "prod", "1.0.0", "public", ("shop", "wiki")),
    )
    assert [each.is_direct for each in found] == [True, False]
    assert [each.application for each in applications_using(other, "bp-sql")] == ["secret"]


def test_what_a_member_may_not_see_is_left_out(organization: Organization, sql: BlueprintVersion) -> None:
    install(organization, "one", sql)
    install(organization, "two", sql, env_type="dev")

    seen = applications_using(organization, "bp-sql", env_types=frozenset({"dev"}))

    assert [each.application for each in seen] == ["two"]
    assert applications_using(organization, "bp-sql", env_types=frozenset()) == ()


def test_what_is_being_removed_does_not_count(organization: Organization, sql: BlueprintVersion) -> None:
    row = install(organization, "one", sql)
    row.removed_by = row.change
    row.save(update_fields=["removed_by"])

    assert applications_using(organization, "bp-sql") == ()
