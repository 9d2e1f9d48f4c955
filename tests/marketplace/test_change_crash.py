"""A previewed Change is saved once and whole, whatever dies, whoever is quicker, whatever stands on ``main``."""

from collections.abc import Callable
from threading import Barrier, Thread
from typing import Any

import pytest
from django.db import connection

from catalyst.core.errors import DomainError
from marketplace.models import Application, Change, ChangePreview
from marketplace.services.change_previews import apply_preview, preview_change
from marketplace.services.changes_commit import commit_changes
from marketplace.services.changes_repository import repository_of
from marketplace.services.foreign_commits import foreign_head, put_back
from marketplace.services.planner_request import ChangeRequest, Configure, Install
from tenancy.models import Organization, Sovereign, User
from tests.marketplace.deliver_rows import LATER, Desk
from tests.marketplace.test_deliver_crash import die_at, foreign_commit, recover
from tests.marketplace.upgrade_rows import installed, needs, publish, ready, settings_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("nothing_is_sold")]

POINTS = ["install.commit.after_object", "install.push.after_push", "install.record.in_tx"]


@pytest.fixture
def desk(sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any) -> Desk:
    publish("sql", "1.0.0", kind="service")
    publish("wiki", "1.2.0", depends=[needs("sql", "^1.0", "db")], spec={"configSchema": settings_of("title")})
    publish("board", "1.0.0")
    desk = Desk(organization, org_admin)
    ready(desk, desk.deliver(desk.order("OMN-2026-000001", "bp-wiki")))
    return desk


def look(desk: Desk, **parts: Any) -> ChangePreview:
    request = ChangeRequest(**parts)
    return preview_change(environment=desk.environment(), request=request, actor=desk.buyer, now=LATER)


def apply(desk: Desk, preview: ChangePreview) -> Change:
    return apply_preview(environment=desk.environment(), preview_id=preview.pk, actor=desk.buyer, now=LATER)


def save(desk: Desk) -> int:
    return commit_changes(environment_id=desk.environment().pk, owner="worker-1", now=LATER)


@pytest.mark.parametrize("point", POINTS)
def test_a_writer_that_dies_leaves_one_commit_with_the_previewed_tree(desk: Desk, point: str) -> None:
    preview = look(desk, install=(Install(blueprint="bp-board"),), remove=("wiki",))
    change = apply(desk, preview)

    die_at(point, lambda: save(desk))
    recover()

    change.refresh_from_db()
    assert [each.tree for each in desk.history()][1:] == [preview.target_tree]
    assert (change.commit, change.seq) == (desk.environment().head_commit, 2)
    assert installed(desk) == {"board": "1.0.0"}


def test_two_previews_of_one_base_and_one_wins(desk: Desk) -> None:
    previews = [look(desk, configure=(Configure(application="wiki", config={"title": each}),)) for each in "AB"]
    outcomes = _together(desk, previews)

    assert sorted(outcomes) == ["applied", "change_in_progress"]
    assert save(desk) == 1
    assert Change.objects.filter(kind="change").count() == 1
    assert Application.objects.get(slug="wiki").config["title"] in "AB"


def test_control_without_the_look_at_what_waits_both_would_win(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    previews = [look(desk, configure=(Configure(application="wiki", config={"title": each}),)) for each in "AB"]
    monkeypatch.setattr("marketplace.services.edits.is_change_waiting", lambda _environment: False)

    assert _together(desk, previews) == ["applied", "applied"]
    # The second is still not saved upon what it was not looked at with.
    assert save(desk) == 1
    assert sorted(Change.objects.filter(kind="change").values_list("state", flat=True)) == ["reconciling", "superseded"]


def _together(desk: Desk, previews: list[ChangePreview]) -> list[str]:
    """Apply both at once; return what each was told."""
    outcomes: list[str] = []
    barrier = Barrier(len(previews))

    def run(preview: ChangePreview) -> None:
        try:
            barrier.wait()
            apply(desk, preview)
            outcomes.append("applied")
        except DomainError as error:
            outcomes.append(error.code)
        finally:
            connection.close()

    threads = [Thread(target=run, args=(each,)) for each in previews]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_what_would_not_be_the_previewed_tree_is_not_saved(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (installed(desk), desk.tree())
    change = apply(desk, look(desk, install=(Install(blueprint="bp-board"),)))
    row = Application.objects.get(slug="board")
    Application.objects.filter(pk=row.pk).update(config={"nobody": "saw this"})

    assert save(desk) == 0

    change.refresh_from_db()
    assert (change.state, change.commit) == ("superseded", "")
    assert (installed(desk), desk.tree()) == before


def test_control_without_the_comparison_it_would_be_saved(desk: Desk) -> None:
    change = apply(desk, look(desk, install=(Install(blueprint="bp-board"),)))
    Application.objects.filter(slug="board").update(config={"nobody": "saw this"})
    Change.objects.filter(pk=change.pk).update(target_tree="", kind="configure")

    assert save(desk) == 1
    assert "nobody" in desk.tree()["apps/board/application.yaml"].decode()


def test_a_foreign_commit_is_put_back_by_a_change_of_its_own(desk: Desk) -> None:
    ours = desk.tree()
    stranger = foreign_commit(desk)
    assert foreign_head(desk.environment()) == stranger
    with pytest.raises(DomainError) as refused:
        look(desk, pause=("wiki",))
    assert refused.value.code == "foreign_commit"

    put_back(environment=desk.environment(), actor=desk.buyer, reason="Nobody knows who that was.", now=LATER)
    assert save(desk) == 1

    _first, foreign, back = desk.history()
    assert (foreign.sha, back.parents, desk.tree()) == (stranger, (stranger,), ours)
    assert foreign_head(desk.environment()) == ""
    assert apply(desk, look(desk, pause=("wiki",))).state == "committing"


def test_there_may_be_nothing_to_put_back(desk: Desk) -> None:
    with pytest.raises(DomainError) as refused:
        put_back(environment=desk.environment(), actor=desk.buyer, now=LATER)

    assert refused.value.code == "nothing_foreign"


def test_a_preview_asks_git_outside_every_transaction(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    real: Callable[..., Any] = repository_of

    def watched(environment: Any) -> Any:
        seen.append(connection.in_atomic_block)
        return real(environment)

    monkeypatch.setattr("marketplace.services.preview_look.repository_of", watched)
    apply(desk, look(desk, pause=("wiki",)))

    assert set(seen) == {False}
