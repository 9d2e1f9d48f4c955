"""A member pushes a branch with the real git program, and it becomes a Change; the same as by the API."""

from pathlib import Path
from typing import Any

import pytest

from marketplace.models import Application, Change, ChangePreview
from marketplace.services.change_previews import apply_preview, preview_change
from marketplace.services.change_push_branches import follow_branches
from marketplace.services.changes_commit import commit_changes
from marketplace.services.planner_request import ChangeRequest, Configure, Install
from tenancy.models import Organization, Sovereign, User
from tests.marketplace.change_push_desk import (
    BRANCH,
    ChangeDesk,
    intent,
    open_change_desk,
    open_wiki_desk,
    path_of,
    sell_nothing,
)
from tests.marketplace.deliver_rows import LATER
from tests.marketplace.push_desk import git, said
from tests.marketplace.upgrade_rows import installed

pytestmark = pytest.mark.django_db(transaction=True)

WIKI = {"title": "Handbook"}


@pytest.fixture
def desk(
    sovereign: Sovereign,
    organization: Organization,
    org_admin: User,
    catalyst_home: Any,
    live_server: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> ChangeDesk:
    sell_nothing(monkeypatch)
    return open_change_desk(open_wiki_desk(organization, org_admin), tmp_path / "work", server=live_server.url)


def apply(desk: ChangeDesk, preview: ChangePreview) -> Change:
    change = apply_preview(environment=desk.desk.environment(), preview_id=preview.pk, actor=desk.desk.buyer, now=LATER)
    return save(change)


def save(change: Change) -> Change:
    commit_changes(environment_id=change.environment_id, owner="worker-1", now=LATER)
    change.refresh_from_db()
    return change


def test_a_pushed_branch_becomes_a_preview_of_the_pusher(desk: ChangeDesk) -> None:
    before = desk.desk.environment().head_commit
    commit = desk.commit(
        {
            **desk.edited(config=WIKI),
            path_of("notices"): intent("notices", "board", "^1.0", config={"color": "red"}),
            "README.md": b"# Ours\n",
        },
        message="Colors for all\n\nThey asked for it.\n",
    )

    done = desk.push()

    assert done.returncode == 0, done.stderr
    (preview,) = ChangePreview.objects.filter(branch=BRANCH)
    lines = said(done)
    summary = "install notices (bp-board 1.0.0); configure wiki: title; edit the texts for people"
    assert lines[0] == f"Accepted: {summary}"
    assert lines[-1] == f"Preview {preview.pk}, valid for 24 hours."
    assert lines[-2].endswith(f"/console/acme/prod/previews/{preview.pk}/")
    assert (preview.author, preview.reason, preview.state) == (desk.user, "They asked for it.", "open")
    assert desk.branches() == {BRANCH: commit}
    assert desk.desk.environment().head_commit == before == preview.base_commit


def test_applying_it_writes_the_platforms_commit_and_drops_the_branch(desk: ChangeDesk) -> None:
    desk.commit(
        {path_of("notices"): intent("notices", "board", "^1.0", config={"color": "red"}), "README.md": b"# Ours\n"},
        message="Notices\n\nThey asked for it.",
    )
    desk.push()
    preview = ChangePreview.objects.get(branch=BRANCH)

    change = apply(desk, preview)
    follow_branches(environment_id=change.environment_id, now=LATER)

    commit = desk.desk.history()[-1]
    assert (commit.sha, commit.tree, commit.author.name) == (change.commit, preview.target_tree, desk.user.display_name)
    assert "\n> They asked for it.\n" in commit.message
    assert Application.objects.get(slug="notices").config == {"color": "red"}
    assert desk.desk.tree()["README.md"] == b"# Ours\n"
    assert desk.branches() == {}


def test_what_is_pushed_is_planned_like_what_is_sent(desk: ChangeDesk) -> None:
    desk.commit(
        {
            **desk.edited(constraint="^1.3", config=WIKI, size="medium", state="paused"),
            path_of("notices"): intent("notices", "board", "^1.0"),
        }
    )
    assert desk.push().returncode == 0
    pushed = ChangePreview.objects.get(branch=BRANCH)

    sent = preview_change(
        environment=desk.desk.environment(),
        request=ChangeRequest(
            install=(Install(blueprint="bp-board", version="^1.0", name="notices"),),
            configure=(Configure(application="wiki", config=WIKI, size="medium"),),
            upgrade={"wiki": "^1.3"},
            pause=("wiki",),
        ),
        actor=desk.desk.buyer,
        now=LATER,
    )

    assert (pushed.target_tree, pushed.summary) == (sent.target_tree, sent.summary)
    assert pushed.pk != sent.pk  # each has an author of its own
    apply(desk, pushed)
    assert installed(desk.desk) == {"notices": "1.0.0", "shared-sql": "1.0.0", "wiki": "1.3.0"}
    wiki = Application.objects.get(slug="wiki")
    assert (wiki.size, wiki.state, wiki.config, wiki.version_range) == ("medium", "paused", WIKI, "^1.3")


def test_deleting_an_intent_removes_and_rendered_files_may_be_absent(desk: ChangeDesk) -> None:
    git("rm", "-r", "--quiet", "apps/wiki", "flux", ".catalyst", folder=desk.folder)
    desk.commit()

    assert desk.push().returncode == 0
    apply(desk, ChangePreview.objects.get(branch=BRANCH))

    assert installed(desk.desk) == {}


def test_the_option_applies_at_once(desk: ChangeDesk) -> None:
    desk.commit(desk.edited(config=WIKI))

    done = desk.push("-o", "catalyst.apply")

    change = Change.objects.get(preview__branch=BRANCH)
    assert said(done)[-1] == f"Applied: change {change.pk} is being saved."
    assert save(change).commit == desk.desk.environment().head_commit
    assert (change.author, Application.objects.get(slug="wiki").config) == (desk.user, WIKI)
    follow_branches(environment_id=change.environment_id, now=LATER)
    assert desk.branches() == {}


def test_a_copy_without_its_history_can_push_too(desk: ChangeDesk, tmp_path: Path) -> None:
    desk.commit(desk.edited(config=WIKI))
    desk.push()
    apply(desk, ChangePreview.objects.get(branch=BRANCH))
    shallow = tmp_path / "shallow"
    git("clone", "--quiet", "--depth=1", desk.address(), str(shallow), folder=tmp_path)
    assert (shallow / ".git/shallow").is_file()
    (shallow / "README.md").write_text("# Ours\n")
    git("commit", "--quiet", "--all", "--message=x", folder=shallow)

    done = git("push", desk.address(), "HEAD:refs/heads/change/texts", folder=shallow)

    assert (done.returncode, said(done)[0]) == (0, "Accepted: edit the texts for people")


def test_a_new_push_replaces_the_preview_and_the_old_commit_can_be_pushed_again(desk: ChangeDesk) -> None:
    first = desk.commit(desk.edited(config=WIKI))
    desk.push()
    second = desk.commit(desk.edited(config={"title": "Other"}))
    assert desk.push().returncode == 0

    def states() -> dict[str, str]:
        return {row.request["pushed"]: row.state for row in ChangePreview.objects.filter(branch=BRANCH)}

    assert states() == {first: "superseded", second: "open"}
    assert desk.push("--force", source=f"{first}:refs/heads/{BRANCH}").returncode == 0
    assert (states(), desk.branches()) == ({first: "open", second: "superseded"}, {BRANCH: first})


def test_a_branch_of_ones_own_can_be_deleted_and_that_of_another_not(desk: ChangeDesk, tmp_path: Path) -> None:
    other = open_change_desk(desk.desk, tmp_path / "other", server=desk.server)
    desk.commit(desk.edited(config=WIKI))
    desk.push()
    other.commit(other.edited(config={"title": "Mine"}))
    before = desk.everything()

    for refused in (other.push("--force"), other.push("--delete", source=BRANCH)):
        assert said(refused) == ["This branch is somebody else's. Push under another name: change/<name>."]
    assert desk.everything() == before

    done = desk.push("--delete", source=BRANCH)

    assert said(done) == [f"{BRANCH} is deleted; what it asked for is cancelled."]
    assert (done.returncode, desk.branches()) == (0, {})
    assert ChangePreview.objects.get(branch=BRANCH).state == "cancelled"


def test_two_people_who_push_the_same_are_each_their_own_author(desk: ChangeDesk, tmp_path: Path) -> None:
    other = open_change_desk(desk.desk, tmp_path / "other", server=desk.server)
    for each, branch in ((desk, BRANCH), (other, "change/same")):
        each.commit(each.edited(config=WIKI))
        assert each.push(source=f"HEAD:refs/heads/{branch}").returncode == 0

    previews = {row.branch: row.author for row in ChangePreview.objects.exclude(branch="")}
    assert previews == {BRANCH: desk.user, "change/same": other.user}
