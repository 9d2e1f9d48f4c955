"""Every kind of previewed Change, whatever dies or is away meanwhile: one commit each, and the tree is the rows'."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest

from catalyst.core.errors import DomainError
from catalyst.core.gitops.message import parse_trailers
from catalyst.core.gitops.repository import BareRepository, RepositoryUnavailable
from marketplace.manifests.paths import ALLOWED_PATHS
from marketplace.models import Application, Change, ChangePreview
from marketplace.services import changes_commit
from marketplace.services.change_previews import apply_preview, preview_change
from marketplace.services.changes_commit import commit_changes
from marketplace.services.changes_desired import desired_applications, desired_files, texts_of
from marketplace.services.foreign_commits import put_back
from marketplace.services.planner_request import ChangeRequest, Configure, Install
from tenancy.models import Environment, Organization, Sovereign, User
from tenancy.services.environments import create_environment
from tests.marketplace.deliver_rows import LATER, Desk, end_leases
from tests.marketplace.every_commit import check_every_commit
from tests.marketplace.killing import killed_at
from tests.marketplace.test_deliver_crash import die_at, foreign_commit, recover
from tests.marketplace.upgrade_rows import needs, publish, settings_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("nothing_is_sold")]

POINTS: Final = ("install.commit.after_object", "install.push.after_push", "install.record.in_tx")
_APPLIED: Final = "change.apply.after_purchase"
MIXED: Final[dict[str, Any]] = {
    "install": (Install(blueprint="bp-board", name="news"),),
    "configure": (Configure(application="wiki", config={"title": "B"}, size="medium"),),
    "remove": ("board",),
    "readme": "# Ours\n",
}

Deaths = Callable[[str, Callable[[], Any]], None]


@pytest.fixture
def desk(sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any) -> Desk:
    publish("sql", "1.0.0", kind="service")
    schema = {"configSchema": settings_of("title"), "upgrades": {"from": ["1.x"]}}
    publish("wiki", "1.2.0", depends=[needs("sql", "^1.0", "db")], spec=schema)
    publish("board", "1.0.0", spec={"configSchema": settings_of("color")})
    desk = Desk(organization, org_admin)
    desk.deliver(desk.order("OMN-2026-000001", "bp-wiki"))
    publish("wiki", "1.3.0", depends=[needs("sql", "^1.0", "db")], spec=schema)
    return desk


def look(desk: Desk, environment: Environment | None = None, **parts: Any) -> ChangePreview:
    request = ChangeRequest(**parts)
    return preview_change(environment=environment or desk.environment(), request=request, actor=desk.buyer, now=LATER)


def apply(desk: Desk, preview: ChangePreview) -> Change:
    return apply_preview(environment=preview.environment, preview_id=preview.pk, actor=desk.buyer, now=LATER)


def save(desk: Desk, owner: str = "worker-1") -> int:
    return commit_changes(environment_id=desk.environment().pk, owner=owner, now=LATER)


def check_whole(desk: Desk) -> None:
    """The tree is what the rows say; each Change has one commit and each commit its Change."""
    environment, tree = desk.environment(), desk.tree()
    readme, owners = texts_of(tree)
    rows = desired_applications(environment, change=None)
    assert desired_files(environment, rows, readme=readme, code_owners=owners) == tree
    saved = Change.objects.filter(environment=environment).exclude(commit="").order_by("seq")
    by_trailer = {parse_trailers(each.message).get("Catalyst-Change"): each.sha for each in desk.history()}
    assert check_every_commit(desk.repository()) == [str(each.pk) for each in saved]
    assert {str(each.pk): each.commit for each in saved} == {key: sha for key, sha in by_trailer.items() if key}
    assert environment.head_commit == desk.repository().head()
    assert not Change.objects.filter(environment=environment, state__in=["committing", "failed"]).exists()


def _steps(desk: Desk) -> Iterator[tuple[str, Callable[[], Change]]]:
    """Yield what is done one after the other: the kind, and what asks for it."""

    def ask(**parts: Any) -> Callable[[], Change]:
        return lambda: apply(desk, look(desk, **parts))

    yield "change", ask(install=(Install(blueprint="bp-board"),))
    yield "change", ask(configure=(Configure(application="wiki", config={"title": "A"}),))
    yield "change", ask(upgrade={"wiki": ""})
    yield "change", ask(pause=("wiki",))
    yield "change", ask(resume=("wiki",))
    yield "change", ask(**MIXED)
    yield "revert", ask(revert=str(Change.objects.latest("seq").pk))
    yield "change", ask(remove=("wiki",))
    yield "promote", ask(promote_from="dev")
    foreign_commit(desk)
    yield "adopt", lambda: put_back(environment=desk.environment(), actor=desk.buyer, now=LATER)


def _open_dev(desk: Desk) -> None:
    """Let another Environment of the Organization run something of its own."""
    dev = create_environment(organization=desk.organization, env_type="dev", actor=desk.buyer, now=LATER)
    apply(desk, look(desk, dev, install=(Install(blueprint="bp-board", name="notes", config={"color": "red"}),)))
    assert commit_changes(environment_id=dev.pk, owner="worker-1", now=LATER) == 1


@pytest.mark.parametrize("dies", [die_at, killed_at], ids=["raise", "kill"])
def test_writers_that_die_cost_nothing_whatever_they_wrote(desk: Desk, dies: Deaths) -> None:
    _open_dev(desk)
    kinds = []
    for kind, ask in _steps(desk):
        dies(_APPLIED, ask)
        change = ask()
        assert (change.kind, change.state) == (kind, "committing")
        for point in POINTS:
            dies(point, lambda: save(desk))
            end_leases()
        recover()
        kinds.append(kind)
        change.refresh_from_db()
        assert [each.sha for each in desk.history()][-1] == change.commit
        assert desk.history()[-1].tree == change.target_tree

    check_whole(desk)
    assert len(kinds) == 10
    rows = Application.objects.filter(environment=desk.environment(), removed_by=None).order_by("slug")
    assert [(row.slug, row.config) for row in rows] == [("board", {}), ("notes", {"color": "red"})]


def test_control_the_look_at_the_whole_sees_a_row_that_is_not_in_the_tree(desk: Desk) -> None:
    check_whole(desk)
    Application.objects.filter(slug="wiki").update(config={"title": "Nobody saved this"})

    with pytest.raises(AssertionError):
        check_whole(desk)


def test_control_a_commit_that_does_not_build_is_seen(desk: Desk) -> None:
    repository, top = desk.repository(), desk.history()[-1]
    who, path = top.author, "apps/wiki/objects.yaml"
    content = repository.read_tree(top.sha)[path].replace(b"ConfigMap", b"ConfigMops")
    message = top.message.replace("Catalyst-Seq: 1", "Catalyst-Seq: 2")
    sha = repository.write_commit(
        top.sha,
        {path: content},
        allowed=ALLOWED_PATHS,
        author=who,
        committer=who,
        message=message,
        when=LATER,
    )
    repository.update_branch(top.sha, sha)

    with pytest.raises(AssertionError, match="This kind is not known here"):
        check_every_commit(repository)


@contextmanager
def _away(desk: Desk) -> Iterator[None]:
    """Take the repository away for a while, as a disk that is not mounted does."""
    path = desk.repository().path
    kept = path.with_name("kept")
    shutil.move(path, kept)
    try:
        yield
        assert not path.exists(), "Nothing stands in its place, which would hide what was lost."
    finally:
        shutil.move(kept, path)


def test_while_git_is_away_nothing_can_be_looked_at(desk: Desk) -> None:
    with _away(desk), pytest.raises(DomainError) as refused:
        look(desk, pause=("wiki",))

    assert (refused.value.code, refused.value.status) == ("repository_unavailable", 503)
    assert apply(desk, look(desk, pause=("wiki",))).state == "committing"


def test_while_git_is_away_a_change_waits_and_is_saved_after(desk: Desk) -> None:
    change = apply(desk, look(desk, pause=("wiki",)))
    with _away(desk):
        assert save(desk) == 0
        change.refresh_from_db()
        assert (change.state, change.attempts, desk.environment().lease_owner) == ("committing", 1, "")

    recover()

    change.refresh_from_db()
    assert (change.state, change.seq) == ("reconciling", 2)
    check_whole(desk)


@pytest.mark.parametrize("error", [RepositoryUnavailable("away"), OSError("away")], ids=["refused", "broken"])
def test_a_branch_that_moved_though_the_answer_was_lost_is_taken_over(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    real = BareRepository.update_branch

    def lost(self: BareRepository, *arguments: Any, **named: Any) -> None:
        real(self, *arguments, **named)
        raise error

    change = apply(desk, look(desk, **{**MIXED, "remove": ()}))
    with monkeypatch.context() as patched:
        patched.setattr(BareRepository, "update_branch", lost)
        if isinstance(error, OSError):
            with pytest.raises(OSError, match="away"):
                save(desk)
        else:
            assert save(desk) == 0
    assert (Change.objects.get(pk=change.pk).commit, len(desk.history())) == ("", 2)

    recover()

    assert Change.objects.get(pk=change.pk).commit == desk.history()[-1].sha
    check_whole(desk)


def _overtaken(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Change:
    """Let a writer sleep over the end of its lease, and another one save the Change meanwhile."""
    slept: list[bool] = []

    def slow(*arguments: Any, **named: Any) -> Any:
        if not slept:
            slept.append(True)
            end_leases()
            assert save(desk, owner="worker-2") == 1
        return desired_applications(*arguments, **named)

    apply(desk, look(desk, install=(Install(blueprint="bp-board"),)))
    save(desk)
    change = apply(desk, look(desk, **MIXED))
    monkeypatch.setattr(changes_commit, "desired_applications", slow)
    assert save(desk) == 0
    change.refresh_from_db()
    return change


def test_a_writer_that_slept_over_its_lease_decides_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    change = _overtaken(desk, monkeypatch)

    assert (change.state, change.seq, change.status_reason) == ("reconciling", 3, "")
    check_whole(desk)


def test_control_without_the_look_at_the_lease_it_would_call_failed_what_is_saved(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes_commit, "renew_lease", lambda **_named: None)

    change = _overtaken(desk, monkeypatch)

    assert (change.state, change.seq) == ("failed", 3)
