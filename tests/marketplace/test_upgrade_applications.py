"""A person upgrades what runs: one Change, one commit, and the rows say it from the commit on."""

from typing import Any

import pytest

from catalyst.core.errors import DomainError
from catalyst.core.gitops.message import parse_trailers
from catalyst.core.models import Outbox
from marketplace.models import Application, ApplicationEdit, ApplicationStatus, Change
from tenancy.models import AuditEntry, Organization, Sovereign, User
from tests.marketplace.deliver_rows import Desk, publish_events
from tests.marketplace.upgrade_rows import installed, needs, publish, ready, upgrade

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk(sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any) -> Desk:
    """Sell a wiki that runs on a shared database."""
    publish("sql", "1.0.0", kind="service")
    publish("wiki", "1.2.0", depends=[needs("sql", "^1.0", "db")])
    desk = Desk(organization, org_admin)
    ready(desk, desk.deliver(desk.order("OMN-2026-000001", "bp-wiki")))
    return desk


def refusal(desk: Desk, *arguments: Any, **more: Any) -> DomainError:
    """Return the refusal of an upgrade; nothing has changed."""
    before = (installed(desk), Change.objects.count(), desk.environment().head_commit)
    with pytest.raises(DomainError) as refused:
        upgrade(desk, *arguments, **more)
    assert (installed(desk), Change.objects.count(), desk.environment().head_commit) == before
    assert ApplicationEdit.objects.count() == 0
    return refused.value


def test_one_commit_by_the_person_moves_what_was_asked(desk: Desk) -> None:
    publish("wiki", "1.2.1", depends=[needs("sql", "^1.0", "db")])
    publish("sql", "1.0.1", kind="service")

    change = upgrade(desk, {"wiki": ""}, reason="Fix of the search.")

    first, commit = desk.history()
    assert commit.message.splitlines()[0] == "upgrade wiki (bp-wiki 1.2.0 → 1.2.1)"
    assert "Fix of the search." in commit.message
    assert parse_trailers(commit.message) == {"Catalyst-Change": str(change.pk), "Catalyst-Seq": "2"}
    assert (commit.author.name, commit.parents) == (desk.buyer.display_name, (first.sha,))
    assert (change.kind, change.state, change.commit) == ("upgrade", "reconciling", commit.sha)
    assert installed(desk) == {"shared-sql": "1.0.0", "wiki": "1.2.1"}
    assert 'version: "1.2.1"' in desk.tree()[".catalyst/lock.yaml"].decode()
    assert AuditEntry.objects.filter(action="change.requested", target=f"change:{change.pk}").count() == 1


def test_a_dependency_moves_when_it_must(desk: Desk) -> None:
    publish("wiki", "1.3.0", depends=[needs("sql", "^1.1", "db")])
    publish("sql", "1.1.0", kind="service")
    publish("sql", "1.2.0", kind="service")

    change = upgrade(desk, {"wiki": ""})

    assert change.summary == "upgrade wiki (bp-wiki 1.2.0 → 1.3.0), shared-sql (bp-sql 1.0.0 → 1.2.0)"
    assert installed(desk) == {"shared-sql": "1.2.0", "wiki": "1.3.0"}
    assert Application.objects.get(slug="shared-sql").version_range == "^1.1"


def test_the_latest_moves_everything(desk: Desk) -> None:
    publish("wiki", "1.2.1", depends=[needs("sql", "^1.0", "db")])
    publish("sql", "1.0.1", kind="service")

    upgrade(desk, {"wiki": ""}, "latest")

    assert installed(desk) == {"shared-sql": "1.0.1", "wiki": "1.2.1"}


def test_nothing_asked_asks_for_all(desk: Desk) -> None:
    publish("sql", "1.0.1", kind="service")

    upgrade(desk)

    assert installed(desk) == {"shared-sql": "1.0.1", "wiki": "1.2.0"}


def test_a_new_dependency_comes_along_and_one_that_is_needed_no_more_stays(desk: Desk) -> None:
    publish("cache", "1.0.0", kind="service")
    publish("wiki", "1.3.0", depends=[needs("cache", "^1", "cache", sharing="dedicated")])

    change = upgrade(desk, {"wiki": ""})

    assert change.summary == "upgrade wiki (bp-wiki 1.2.0 → 1.3.0), wiki-cache (bp-cache 1.0.0)"
    assert installed(desk) == {"shared-sql": "1.0.0", "wiki": "1.3.0", "wiki-cache": "1.0.0"}
    rows = {row.slug: row for row in Application.objects.all()}
    assert rows["wiki"].bindings == {"cache": "wiki-cache"}
    assert rows["wiki-cache"].requested_by == ["wiki"]
    assert rows["wiki-cache"].change == change
    assert rows["shared-sql"].requested_by == ["wiki"]  # it goes, with its data, when the wiki goes
    ready(desk, change)
    assert desk.statuses() == {"shared-sql": "ready", "wiki": "ready", "wiki-cache": "ready"}
    change.refresh_from_db()
    assert change.state == "succeeded"


def test_pages_show_updating_until_the_cluster_has_followed(desk: Desk) -> None:
    publish("wiki", "1.2.1", depends=[needs("sql", "^1.0", "db")])

    change = upgrade(desk, {"wiki": ""})
    publish_events()

    row = ApplicationStatus.objects.get(application="wiki")
    assert (row.status, row.version, row.commit) == ("updating", "1.2.1", change.commit)
    assert row.depends_on == ["shared-sql"]
    assert ApplicationStatus.objects.get(application="shared-sql").status == "ready"
    ready(desk, change)
    assert desk.statuses() == {"shared-sql": "ready", "wiki": "ready"}
    change.refresh_from_db()
    assert change.state == "succeeded"
    topics = list(Outbox.objects.filter(payload__change=str(change.pk)).order_by("id").values_list("topic", flat=True))
    assert topics == ["change.created", "change.committed", "application.edited", "change.succeeded"]


def test_a_range_of_ones_own_replaces_the_one_that_stood(desk: Desk) -> None:
    publish("wiki", "2.0.0", depends=[needs("sql", "^1.0", "db")], spec={"upgrades": {"from": ["1.x"]}})

    assert refusal(desk, {"wiki": ""}).code == "already_newest"
    upgrade(desk, {"wiki": "^2.0"})

    row = Application.objects.get(slug="wiki")
    assert (row.blueprint_version.version, row.version_range) == ("2.0.0", "^2.0")
    assert 'constraint: "^2.0"' in desk.tree()["apps/wiki/application.yaml"].decode()


def test_nothing_newer_is_said(desk: Desk) -> None:
    refused = refusal(desk)

    assert (refused.code, refused.status) == ("already_newest", 409)


def test_a_version_that_takes_over_nothing_asks_to_recreate(desk: Desk) -> None:
    publish("wiki", "2.0.0", depends=[needs("sql", "^1.0", "db")])

    refused = refusal(desk, {"wiki": "^2.0"})

    assert (refused.code, refused.status, refused.pointer) == ("recreate_needed", 409, "/applications/wiki")
    assert refused.message == (
        "bp-wiki ^2.0 does not take over 1.2.0, which wiki runs: recreate it. Install a new Application, move your "
        "data, and remove this one."
    )


def test_a_blocked_version_is_never_reached(desk: Desk) -> None:
    publish("wiki", "1.3.0", depends=[needs("sql", "^1.0", "db")], spec={"upgrades": {"blocks": ["<1.2.1"]}})

    refused = refusal(desk, {"wiki": "^1.3"})

    assert (refused.code, refused.message) == (
        "upgrade_blocked",
        "bp-wiki ^1.3 cannot be reached from 1.2.0, which wiki runs.",
    )
    assert refusal(desk, {"wiki": ""}).code == "already_newest"


def test_versions_that_do_not_go_together_are_explained(desk: Desk) -> None:
    publish("wiki", "1.3.0", depends=[needs("sql", "^2.0", "db")])
    publish("sql", "2.0.0", kind="service")

    refused = refusal(desk, {"wiki": "^1.3"})

    assert (refused.code, refused.status) == ("unresolvable", 422)
    assert "wiki 1.3.0 needs bp-sql ^2.0." in refused.message


def test_refuses_what_is_not_there_and_what_is_no_range(desk: Desk) -> None:
    assert refusal(desk, {"blog": ""}).code == "not_found"
    assert refusal(desk, {"wiki": "latest"}).code == "range_refused"


def test_the_same_key_finds_the_same_change(desk: Desk) -> None:
    publish("wiki", "1.2.1", depends=[needs("sql", "^1.0", "db")])

    first = upgrade(desk, {"wiki": ""}, key="key-12345")

    assert upgrade(desk, {"wiki": ""}, key="key-12345") == first
    with pytest.raises(DomainError) as refused:
        upgrade(desk, {"wiki": "^1.2"}, key="key-12345")
    assert refused.value.code == "idempotency_key_reused"
    assert len(desk.history()) == 2
