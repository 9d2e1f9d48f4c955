"""A preview shows what would happen, changes nothing, and is applied exactly or not at all."""

from collections.abc import Callable
from typing import Any

import pytest

from catalyst.core.errors import DomainError
from catalyst.core.gitops.message import parse_trailers
from marketplace.models import Application, ApplicationStatus, Change, ChangePreview
from marketplace.selectors import capacity
from marketplace.selectors.capacity import Footprint
from marketplace.services.change_previews import apply_preview, preview_change
from marketplace.services.changes_commit import commit_changes
from marketplace.services.planner_request import ChangeRequest, Configure, Install
from tenancy.models import Organization, Sovereign, User
from tests.marketplace.deliver_rows import LATER, Desk, publish_events
from tests.marketplace.upgrade_rows import installed, needs, publish, ready, settings_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("nothing_is_sold")]

Ask = Callable[..., ChangePreview]


@pytest.fixture
def desk(sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any) -> Desk:
    """Sell a wiki on a shared database, and a notice board that needs nothing."""
    publish("sql", "1.0.0", kind="service")
    publish("wiki", "1.2.0", depends=[needs("sql", "^1.0", "db")], spec={"configSchema": settings_of("title")})
    publish("board", "1.0.0", spec={"configSchema": settings_of("color")})
    desk = Desk(organization, org_admin)
    ready(desk, desk.deliver(desk.order("OMN-2026-000001", "bp-wiki")))
    return desk


@pytest.fixture
def ask(desk: Desk) -> Ask:
    """Preview as the administrator."""

    def preview(**parts: Any) -> ChangePreview:
        request = ChangeRequest(**parts)
        return preview_change(environment=desk.environment(), request=request, actor=desk.buyer, now=LATER)

    return preview


def apply(desk: Desk, preview: ChangePreview) -> Change:
    change = apply_preview(environment=desk.environment(), preview_id=preview.pk, actor=desk.buyer, now=LATER)
    commit_changes(environment_id=change.environment_id, owner="worker-1", now=LATER)
    change.refresh_from_db()
    return change


def everything(desk: Desk) -> tuple[Any, ...]:
    return installed(desk), Change.objects.count(), desk.environment().head_commit, len(desk.history())


def test_a_preview_changes_nothing(desk: Desk, ask: Ask) -> None:
    before = everything(desk)

    preview = ask(
        install=(Install(blueprint="bp-board"),), configure=(Configure(application="wiki", config={"title": "A"}),)
    )

    assert everything(desk) == before
    said = preview.shown
    assert said["summary"] == "install board (bp-board 1.0.0); configure wiki: title"
    assert said["base_commit"] == desk.environment().head_commit
    assert [(each["application"], each["change"], each["version_after"]) for each in said["lock_diff"]] == [
        ("board", "added", "1.0.0"),
        ("wiki", "changed", "1.2.0"),
    ]
    assert said["problems"] == []
    assert said["capacity"]["before"]["memory_mib"] + 100 == said["capacity"]["after"]["memory_mib"]
    paths = {each["path"]: each["change"] for each in said["manifest_diff"]["files"]}
    assert (paths["apps/board/objects.yaml"], paths["apps/wiki/application.yaml"]) == ("added", "modified")


def test_applying_saves_exactly_the_previewed_tree_once(desk: Desk, ask: Ask) -> None:
    preview = ask(install=(Install(blueprint="bp-board", name="notices", config={"color": "red"}),), pause=("wiki",))

    change = apply(desk, preview)
    again = apply(desk, preview)

    assert again.pk == change.pk
    commit = desk.history()[-1]
    assert (change.commit, commit.tree) == (commit.sha, preview.target_tree)
    assert parse_trailers(commit.message) == {
        "Catalyst-Change": str(change.pk),
        "Catalyst-Seq": "2",
        "Catalyst-Preview": preview.pk,
    }
    assert commit.author.name == desk.buyer.display_name
    assert installed(desk) == {"notices": "1.0.0", "shared-sql": "1.0.0", "wiki": "1.2.0"}
    assert Application.objects.get(slug="notices").config == {"color": "red"}
    assert Application.objects.get(slug="wiki").state == "paused"


def test_the_same_question_has_the_same_answer_and_another_base_another_one(desk: Desk, ask: Ask) -> None:
    first = ask(pause=("wiki",))

    assert ask(pause=("wiki",)).pk == first.pk
    apply(desk, ask(install=(Install(blueprint="bp-board"),)))
    assert ask(pause=("wiki",)).pk != first.pk


def test_a_preview_upon_an_older_commit_is_refused_with_a_new_one(desk: Desk, ask: Ask) -> None:
    stale = ask(pause=("wiki",))
    apply(desk, ask(install=(Install(blueprint="bp-board"),)))
    before = everything(desk)

    with pytest.raises(DomainError) as refused:
        apply(desk, stale)

    assert (refused.value.code, refused.value.status) == ("base_commit_moved", 409)
    assert refused.value.extra["preview"]["base_commit"] == desk.environment().head_commit
    assert everything(desk) == before
    stale.refresh_from_db()
    assert stale.state == "superseded"
    assert apply(desk, ChangePreview.objects.get(pk=refused.value.extra["preview"]["id"])).commit


def test_what_another_needs_cannot_go_and_the_path_is_shown(desk: Desk, ask: Ask) -> None:
    preview = ask(remove=("shared-sql",))

    assert [(each["code"], each["pointer"]) for each in preview.shown["problems"]] == [("needed", "/remove/0")]
    assert "wiki → shared-sql" in preview.shown["problems"][0]["detail"]
    before = everything(desk)
    with pytest.raises(DomainError) as refused:
        apply(desk, preview)
    assert (refused.value.code, everything(desk)) == ("preview_has_problems", before)


def test_removing_takes_what_nobody_else_needs(desk: Desk, ask: Ask) -> None:
    preview = ask(remove=("wiki",))
    assert [(each["application"], each["reason"]) for each in preview.shown["lock_diff"]] == [
        ("shared-sql", "Nothing else needs it."),
        ("wiki", "It was asked for."),
    ]
    assert [each["application"] for each in preview.shown["data"]] == ["shared-sql", "wiki"]

    change = apply(desk, preview)

    publish_events()
    assert installed(desk) == {}
    assert not [path for path in desk.tree() if path.startswith("apps/")]
    assert set(ApplicationStatus.objects.values_list("application", "status")) == {
        ("wiki", "deleting"),
        ("shared-sql", "deleting"),
    }
    assert change.state == "reconciling"


def test_a_protected_application_stays(desk: Desk, ask: Ask) -> None:
    Application.objects.filter(slug="wiki").update(is_protected=True)

    preview = ask(remove=("wiki",))

    assert [each["code"] for each in preview.shown["problems"]] == ["protected"]


def test_a_pause_by_a_person_outlives_a_resumption_of_everything(desk: Desk, ask: Ask) -> None:
    apply(desk, ask(pause=("wiki",)))
    paused = desk.tree()
    assert 'state: "paused"' in paused["apps/wiki/application.yaml"].decode()

    desk.tell("suspended", 900)
    assert desk.tree() != paused
    desk.tell("resumed", 901)

    assert desk.tree() == paused


def test_a_roll_back_makes_the_tree_what_it_was_byte_for_byte(desk: Desk, ask: Ask) -> None:
    original = desk.tree()
    publish("wiki", "1.3.0", depends=[needs("sql", "^1.1", "db")], spec={"configSchema": settings_of("title")})
    publish("sql", "1.1.0", kind="service")
    moved = apply(desk, ask(upgrade={"wiki": ""}, configure=(Configure(application="wiki", config={"title": "New"}),)))
    assert installed(desk) == {"shared-sql": "1.1.0", "wiki": "1.3.0"}

    change = apply(desk, ask(revert=str(moved.pk)))

    assert desk.tree() == original
    assert installed(desk) == {"shared-sql": "1.0.0", "wiki": "1.2.0"}
    assert (change.kind, change.reverts_id) == ("revert", moved.pk)
    assert parse_trailers(desk.history()[-1].message)["Catalyst-Reverts"] == str(moved.pk)


def test_a_removed_application_comes_back_and_an_installed_one_goes(desk: Desk, ask: Ask) -> None:
    original = desk.tree()
    removed = apply(desk, ask(remove=("wiki",)))
    back = apply(desk, ask(revert=str(removed.pk)))
    assert desk.tree() == original

    apply(desk, ask(revert=str(back.pk)))

    assert installed(desk) == {}


def test_going_back_to_a_commit_restores_everything_since(desk: Desk, ask: Ask) -> None:
    original = desk.tree()
    first = desk.environment().head_commit
    apply(desk, ask(install=(Install(blueprint="bp-board"),)))
    apply(desk, ask(configure=(Configure(application="wiki", config={"title": "B"}),)))

    apply(desk, ask(revert_to=first))

    assert desk.tree() == original


def test_a_withdrawn_version_does_not_come_back(desk: Desk, ask: Ask) -> None:
    publish("wiki", "1.3.0", depends=[needs("sql", "^1.0", "db")], spec={"configSchema": settings_of("title")})
    moved = apply(desk, ask(upgrade={"wiki": ""}))
    row = Application.objects.get(slug="wiki")
    row.blueprint_version.blueprint.versions.filter(version="1.2.0").update(yanked_at=LATER)

    preview = ask(revert=str(moved.pk))

    assert [each["code"] for each in preview.shown["problems"]] == ["version_yanked"]


def test_settings_that_do_not_fit_are_all_named(desk: Desk, ask: Ask) -> None:
    preview = ask(configure=(Configure(application="wiki", config={"title": 7, "nothing": True}),))

    assert {each["code"] for each in preview.shown["problems"]} == {"configuration"}
    assert len(preview.shown["problems"]) == 2


def test_what_the_plan_does_not_hold_is_a_problem(desk: Desk, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    small = Footprint(memory_mib=701, cpu_milli=9000, disk_gib=900)
    monkeypatch.setattr(capacity, "_sources", [lambda _environment: small])

    preview = ask(install=(Install(blueprint="bp-board"),))

    assert [each["code"] for each in preview.shown["problems"]] == ["capacity_exceeded"]


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ({"pause": ("nothing",)}, "not_found"),
        ({"resume": ("wiki",)}, "nothing_to_change"),
        ({"revert": "5f0c2d4e-0000-4000-8000-000000000000"}, "not_found"),
        ({"revert_to": "0" * 40}, "not_found"),
        ({"promote_from": "dev"}, "not_found"),
        ({"promote_from": "dev", "pause": ("wiki",)}, "request_refused"),
        ({"upgrade": {"wiki": "latest"}}, "range_refused"),
        ({"install": (Install(blueprint="bp-none"),)}, "unresolvable"),
    ],
)
def test_what_cannot_be_understood_is_refused(desk: Desk, ask: Ask, parts: dict[str, Any], code: str) -> None:
    before = everything(desk)

    with pytest.raises(DomainError) as refused:
        ask(**parts)

    assert (refused.value.code, everything(desk)) == (code, before)
    assert ChangePreview.objects.count() == 0
