"""Why an Application has its version: right at every step of its life, and silent about what is not the reader's."""

from typing import Any

import pytest
from django.utils import timezone

from catalyst.core.errors import NotFound
from marketplace.models import Change
from marketplace.selectors.upgrades import available_upgrades
from marketplace.selectors.why import NewerVersion, Requester, Why, explain_version
from tenancy.models import Organization, Sovereign, User
from tests.factories import MembershipFactory, OrganizationFactory
from tests.marketplace.deliver_rows import Desk
from tests.marketplace.upgrade_rows import configure, installed, needs, publish, ready, settings_of, upgrade

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk(sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any) -> Desk:
    """Install a private Blueprint that depends on a public one with a range."""
    publish("sql", "1.2.0", kind="service")
    publish("sql", "1.1.0", kind="service")
    publish(
        "own",
        "1.0.0",
        depends=[needs("sql", "^1.2", "db")],
        organization=organization,
        spec={"configSchema": settings_of("title")},
    )
    desk = Desk(organization, org_admin)
    ready(desk, desk.deliver(desk.order("OMN-2026-000001", "bp-own")))
    return desk


def why(desk: Desk, application: str) -> Why:
    return explain_version(desk.environment(), application, now=timezone.now())


def test_the_whole_story(desk: Desk) -> None:
    said = why(desk, "shared-sql")
    assert (said.version, said.source, said.range, said.newer) == ("1.2.0", "public", "", ())
    assert said.requesters == (Requester("own", "Own", "1.0.0", "db", "^1.2"),)
    assert (said.change.kind, said.change.order_number) == ("install", "OMN-2026-000001")

    fix = publish("sql", "1.2.1", kind="service", is_security=True, changelog="Closes a hole.")
    (notice,) = [each for each in available_upgrades(desk.environment(), now=timezone.now()) if each.newest]
    assert (notice.application, notice.newest, notice.kind) == ("shared-sql", "1.2.1", "security")
    assert notice.changelog[0].text == "Closes a hole."
    available = NewerVersion("1.2.1", "available", "1.2.1 can be had: upgrade shared-sql.")
    assert why(desk, "shared-sql").newer == (available,)

    change = upgrade(desk, {"shared-sql": ""})
    ready(desk, change)
    said = why(desk, "shared-sql")
    assert (said.version, said.digest, said.change, said.newer) == ("1.2.1", fix.digest, change, ())
    assert said.requesters == (Requester("own", "Own", "1.0.0", "db", "^1.2"),)
    assert desk.statuses() == {"own": "ready", "shared-sql": "ready"}
    assert [each.newest for each in available_upgrades(desk.environment(), now=timezone.now())] == ["", ""]


def test_the_persons_range_is_named(desk: Desk, organization: Organization) -> None:
    needed = [needs("sql", "^1.2", "db")]
    publish("own", "2.0.0", depends=needed, organization=organization, spec={"upgrades": {"from": ["1.x"]}})

    said = why(desk, "own")

    assert (said.source, said.range, said.requesters) == ("org", "^1.0", ())
    assert said.newer == (NewerVersion("2.0.0", "own_range", "2.0.0 is not in the range ^1.0 that was asked for."),)


def test_every_newer_version_has_its_own_reason(desk: Desk) -> None:
    publish("sql", "1.2.1", kind="service", yanked_at=timezone.now())
    publish("sql", "1.2.2", kind="service", state="retired")
    publish("sql", "1.3.0-rc.1", kind="service")
    publish("sql", "1.3.0", kind="service", spec={"upgrades": {"blocks": ["<1.2.5"]}})
    publish("sql", "1.4.0", kind="service")
    publish("sql", "1.5.0", kind="service", state="draft")
    publish("sql", "2.0.0", kind="service", spec={"upgrades": {"from": ["1.x"]}})
    publish("sql", "3.0.0", kind="service")

    said = why(desk, "shared-sql").newer

    assert said == (
        NewerVersion("3.0.0", "recreate", "3.0.0 does not take over 1.2.0: recreate the Application to have it."),
        NewerVersion("2.0.0", "needed", "2.0.0 is not what own 1.0.0 (^1.2) needs."),
        NewerVersion("1.4.0", "available", "1.4.0 can be had: upgrade shared-sql."),
        NewerVersion("1.3.0", "blocked", "1.3.0 cannot be reached from 1.2.0."),
        NewerVersion("1.3.0-rc.1", "prerelease", "1.3.0-rc.1 is a pre-release; only a range that names it has it."),
        NewerVersion("1.2.2", "retired", "1.2.2 is not offered any more."),
        NewerVersion("1.2.1", "yanked", "1.2.1 was withdrawn by its publisher."),
    )


def test_a_dependency_that_cannot_come_is_the_reason(desk: Desk, organization: Organization) -> None:
    publish("own", "1.1.0", depends=[needs("sql", "^2.0", "db")], organization=organization)
    publish("sql", "2.0.0", kind="service")

    (newer,) = why(desk, "own").newer

    assert newer.code == "conflict"
    assert "own 1.1.0 needs bp-sql ^2.0." in newer.reason


def test_a_configuration_is_not_what_brought_the_version(desk: Desk, organization: Organization) -> None:
    configure(desk, "own", {"title": "Mine"})
    assert why(desk, "own").change.kind == "install"

    schema = {"configSchema": settings_of("title")}
    publish("own", "1.0.1", depends=[needs("sql", "^1.2", "db")], organization=organization, spec=schema)
    moved = upgrade(desk, {"own": ""})
    configure(desk, "own", {"title": "Ours"})

    assert why(desk, "own").change == moved


def test_names_of_others_never_appear(desk: Desk) -> None:
    other = OrganizationFactory.create(slug="globex", name="Globex")
    buyer = MembershipFactory.create(organization=other, role="org-admin").user
    publish("theirs", "1.0.0", depends=[needs("sql", "~1.2", "db")], organization=other)
    theirs = Desk(other, buyer)
    ready(theirs, theirs.deliver(theirs.order("OMN-2026-000002", "bp-theirs")))
    publish("sql", "1.3.0", kind="service")

    assert installed(theirs) == {"shared-sql": "1.2.0", "theirs": "1.0.0"}
    assert "theirs" not in repr(why(desk, "shared-sql"))
    assert why(desk, "shared-sql").newer[0].code == "available"
    assert why(theirs, "shared-sql").newer == (
        NewerVersion("1.3.0", "needed", "1.3.0 is not what theirs 1.0.0 (~1.2) needs."),
    )
    assert "own" not in {each.application for each in why(theirs, "shared-sql").requesters}
    with pytest.raises(NotFound):
        why(theirs, "own")


def test_a_nearer_blueprint_of_the_same_name_changes_nothing(desk: Desk, organization: Organization) -> None:
    publish("sql", "9.0.0", kind="service", organization=organization)

    assert why(desk, "shared-sql").newer == ()
    assert Change.objects.count() == 1
