"""A paid order becomes exactly one commit that holds what was bought with its dependencies."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, connection

from catalyst.core.gitops.message import parse_trailers
from catalyst.core.models import Outbox
from marketplace.models import Application, Blueprint, BlueprintVersion, Change
from marketplace.services import changes_commit, changes_desired, delivery
from marketplace.services.delivery import InstallationNotPlanned
from tenancy.models import Environment, Organization, Sovereign, User
from tests.conftest import owner_connection
from tests.marketplace.deliver_rows import LATER, NOW, Desk, open_desk

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk(sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any) -> Desk:
    return open_desk(organization, org_admin)


def topics(desk: Desk) -> list[str]:
    return list(Outbox.objects.order_by("id").values_list("topic", flat=True))


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Run the calls in threads with connections of their own; return results and errors in their order."""
    results: list[Any] = [None] * len(calls)
    barrier = threading.Barrier(len(calls))

    def run(position: int, call: Callable[[], Any]) -> None:
        try:
            barrier.wait(10)
            results[position] = call()
        except Exception as error:
            results[position] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


def test_makes_the_environment_and_one_commit(desk: Desk) -> None:
    change = desk.deliver()

    environment = desk.environment()
    (commit,) = desk.history()
    assert (environment.name, environment.head_commit, environment.head_seq) == ("acme-prod", commit.sha, 1)
    assert (environment.lease_owner, environment.lease_until) == ("", None)
    assert (change.state, change.commit, change.seq, change.base_commit) == ("reconciling", commit.sha, 1, "")
    assert list(Application.objects.order_by("slug").values_list("slug", "bindings", "requested_by")) == [
        ("shared-mysql", {}, ["wordpress"]),
        ("wordpress", {"db": "shared-mysql"}, []),
    ]
    assert topics(desk) == [
        "environment.created",
        "change.created",
        "change.committed",
        "application.requested",
        "application.requested",
    ]


def test_the_commit_is_the_buyers_and_names_order_and_change(desk: Desk) -> None:
    change = desk.deliver()

    (commit,) = desk.history()
    assert commit.message.splitlines()[0] == "install wordpress (bp-wordpress 1.0.0), shared-mysql (bp-mysql 1.0.0)"
    assert parse_trailers(commit.message) == {
        "Catalyst-Change": str(change.pk),
        "Catalyst-Seq": "1",
        "Catalyst-Order": "OMN-2026-000001",
    }
    assert commit.author.name == desk.buyer.display_name
    assert commit.author.email == f"{desk.buyer.uuid}@users.cloud.example.om"
    assert (commit.committer.name, commit.committer.email) == ("Catalyst", "catalyst@cloud.example.om")
    assert commit.when == NOW.replace(microsecond=0) == change.committed_at


def test_the_tree_is_what_the_rows_render_to(desk: Desk) -> None:
    desk.deliver()
    desk.deliver(desk.order("OMN-2026-000002", "bp-uptime-kuma"))

    environment = desk.environment()
    tree = desk.repository().read_tree(environment.head_commit)
    rows = changes_desired.desired_applications(environment, change=None)
    readme = tree["README.md"].decode()
    assert tree == changes_desired.desired_files(environment, rows, readme=readme)
    assert [row.slug for row in rows] == ["shared-mysql", "uptime-kuma", "wordpress"]


def test_replays_change_nothing(desk: Desk) -> None:
    first = desk.deliver()
    before = topics(desk)

    again = [desk.deliver(now=LATER, owner=f"worker-{number}").pk for number in range(3)]

    assert again == [first.pk] * 3
    assert [commit.sha for commit in desk.history()] == [first.commit]
    assert topics(desk) == before
    assert (Change.objects.count(), Application.objects.count(), Environment.objects.count()) == (1, 2, 1)


def test_two_workers_at_once_make_one_commit(desk: Desk) -> None:
    order = desk.order()

    results = at_once(*(lambda name=name: desk.deliver(order, owner=name) for name in ("one", "two", "three")))

    assert len({result.pk for result in results}) == 1
    assert len(desk.commit_objects()) == len(desk.history()) == 1
    assert Change.objects.get().commit == desk.history()[0].sha


def test_without_looking_for_the_row_the_database_still_refuses_the_second(desk: Desk, monkeypatch: Any) -> None:
    first = desk.deliver()
    monkeypatch.setattr(delivery, "_change_of_order", lambda order: None)

    with pytest.raises(IntegrityError, match="change_one_installation_per_order"):
        desk.deliver()

    assert [commit.sha for commit in desk.history()] == [first.commit]
    assert Application.objects.count() == 2


@pytest.mark.breaks_invariants
def test_control_without_row_and_constraint_a_replay_installs_twice(desk: Desk, monkeypatch: Any) -> None:
    monkeypatch.setattr(delivery, "_change_of_order", lambda order: None)
    with owner_connection() as owner:
        owner.execute("DROP INDEX change_one_installation_per_order")
        try:
            at_once(desk.deliver, lambda: desk.deliver(owner="worker-2"))

            assert Change.objects.count() == 2
            assert Application.objects.filter(slug="wordpress-2").exists()
        finally:
            owner.execute("TRUNCATE marketplace_change CASCADE")
            owner.execute(
                "CREATE UNIQUE INDEX change_one_installation_per_order ON marketplace_change (order_number)"
                " WHERE NOT (order_number = '')"
            )


def writers_at_once(desk: Desk, monkeypatch: Any) -> int:
    """Deliver two orders in two threads; return how many were between lease and push at the same time."""
    inside, most, lock = 0, 0, threading.Lock()
    both = threading.Event()
    write = changes_commit._write_objects

    def watched(*arguments: Any) -> str:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
            if inside == 2:
                both.set()
        both.wait(1)
        try:
            return write(*arguments)
        finally:
            with lock:
                inside -= 1

    monkeypatch.setattr(changes_commit, "_write_objects", watched)
    orders = [desk.order("OMN-2026-000001"), desk.order("OMN-2026-000002", "bp-uptime-kuma")]
    at_once(*(lambda order=order: desk.deliver(order, owner=order.number) for order in orders))
    return most


def test_one_writer_at_a_time_and_nobody_is_forgotten(desk: Desk, monkeypatch: Any) -> None:
    assert writers_at_once(desk, monkeypatch) == 1

    history = desk.history()
    assert [parse_trailers(commit.message)["Catalyst-Seq"] for commit in history] == ["1", "2"]
    assert history[1].parents == (history[0].sha,)
    assert sorted(Change.objects.values_list("commit", flat=True)) == sorted(commit.sha for commit in history)


def test_control_without_the_lease_two_write_at_once(desk: Desk, monkeypatch: Any) -> None:
    monkeypatch.setattr(changes_commit, "take_lease", lambda **_: True)
    monkeypatch.setattr(changes_commit, "renew_lease", lambda **_: None)
    find = Environment.objects.select_related("organization").get
    monkeypatch.setattr(changes_commit, "lock_leased", lambda environment_id, owner: find(pk=environment_id))

    assert writers_at_once(desk, monkeypatch) == 2


def test_a_shared_service_is_installed_once_for_two_orders(desk: Desk) -> None:
    desk.deliver()
    desk.deliver(desk.order("OMN-2026-000002", "bp-wordpress", "bp-umami"), now=LATER)

    assert list(Application.objects.order_by("slug").values_list("slug", "requested_by")) == [
        ("shared-mysql", ["wordpress", "wordpress-2"]),
        ("shared-postgres", ["umami"]),
        ("umami", []),
        ("wordpress", []),
        ("wordpress-2", []),
    ]
    first, second = desk.history()
    repository = desk.repository()
    before, after = repository.read_tree(first.sha), repository.read_tree(second.sha)
    assert {path for path in before if before[path] != after[path]} == {
        ".catalyst/lock.yaml",
        "flux/kustomization.yaml",
    }


def test_each_change_brings_only_its_own(desk: Desk) -> None:
    first, second = (
        delivery.plan_installation(order=desk.order(f"OMN-2026-00000{number}", name), now=NOW)
        for number, name in ((1, "bp-wordpress"), (2, "bp-uptime-kuma"))
    )

    changes_commit.commit_changes(environment_id=first.environment_id, owner="late", now=LATER)

    one, two = (desk.repository().read_tree(commit.sha) for commit in desk.history())
    assert "apps/uptime-kuma/application.yaml" not in one
    assert "apps/uptime-kuma/application.yaml" in two
    assert "apps/wordpress/application.yaml" in two
    second.refresh_from_db()
    assert second.seq == 2


def test_configuration_is_what_the_blueprint_knows(desk: Desk) -> None:
    given = {"title": "Our site", "hostname": "bank.example.com", "unknown": "x"}
    desk.deliver(desk.order("OMN-2026-000001", "bp-wordpress", **{"bp-wordpress": given}))

    assert Application.objects.get(slug="wordpress").config == {"title": "Our site", "adminEmail": desk.buyer.email}


def test_what_cannot_be_planned_says_why_and_is_tried_again(desk: Desk) -> None:
    versions = BlueprintVersion.objects.filter(blueprint__name="bp-mysql")
    versions.update(yanked_at=NOW)

    with pytest.raises(InstallationNotPlanned):
        desk.deliver()

    change = Change.objects.get()
    assert (change.state, change.status_reason) == ("failed", "No published version of bp-mysql ^1.0 can be installed.")
    assert (Application.objects.count(), desk.environment().head_commit) == (0, "")

    Blueprint.objects.get(name="bp-mysql").versions.model.objects.create(**_release(versions.get()))
    assert desk.deliver(now=LATER).state == "reconciling"
    assert len(desk.history()) == 1
    assert Change.objects.count() == 1


def _release(version: BlueprintVersion) -> dict[str, Any]:
    contract = version.contract | {"metadata": {**version.contract["metadata"], "version": "1.0.1"}}
    document = version.files["blueprint.yaml"].replace("version: 1.0.0", "version: 1.0.1", 1)
    return {
        "blueprint": version.blueprint,
        "version": "1.0.1",
        "major": 1,
        "minor": 0,
        "patch": 1,
        "digest": "sha256:" + "b" * 64,
        "contract": contract,
        "files": version.files | {"blueprint.yaml": document},
    }
