"""Names and values that try to leave their file: a push means what it says, as the API would, or nothing."""

from pathlib import Path
from typing import Any

import pygit2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalyst.core.errors import DomainError
from catalyst.core.gitops import yaml
from marketplace.manifests.paths import ALLOWED_PATHS
from marketplace.models import ChangePreview
from marketplace.services.change_previews import preview_change
from marketplace.services.change_push_files import ChangePushRefused, is_intent
from marketplace.services.change_push_intents import build_request
from marketplace.services.planner_request import ChangeRequest, Configure, Install
from tenancy.models import Organization, Sovereign, User
from tests.marketplace.change_push_desk import BRANCH, ChangeDesk, intent, open_change_desk, open_wiki_desk, path_of
from tests.marketplace.deliver_rows import LATER
from tests.marketplace.test_render_hostile_values import HOSTILE

UNWRITABLE = ["\x00", "a\x1bb", "\x7f", "\x85", "\ufffe", 1.5, {"a": "\x00"}, {"\x00": "a"}, ["\x1b"]]
REFUSED = {"configuration", "request_refused", "yaml_refused"}
#: Written as a person would, where readers of YAML see something else than a text.
PLAIN = ["yes", "1e3", "0x1F", "0440", "12:30", "2026-01-01", "*x", "&x y", "!!str y", ".nan", "<<", "{{ now }}"]
NAMES = ["../etc", "-x", "--upload-pack=x", "a b", "a\nb", "a\u2028b", "a#b", "'a'", "{{a}}", "a\x00b", "Wiki", ""]


@pytest.fixture
def desk(
    sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any, tmp_path: Path
) -> ChangeDesk:
    return open_change_desk(open_wiki_desk(organization, org_admin), tmp_path / "work")


def by_api(desk: ChangeDesk, **parts: Any) -> ChangePreview | str:
    """Return the preview that the API gives of the same, or the code of its refusal or of its first problem."""
    try:
        preview = preview_change(
            environment=desk.desk.environment(), request=ChangeRequest(**parts), actor=desk.user, now=LATER
        )
    except DomainError as error:
        return error.code
    return preview.shown["problems"][0]["code"] if preview.shown["problems"] else preview


def tree_of(desk: ChangeDesk, preview: ChangePreview) -> dict[str, bytes]:
    repository = pygit2.Repository(str(desk.desk.repository().path))

    def files(tree: Any, place: str) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for entry in tree:
            path = f"{place}{entry.name}"
            found |= files(entry, f"{path}/") if isinstance(entry, pygit2.Tree) else {path: entry.data}
        return found

    return files(repository[preview.target_tree], "")


def kinds_of(files: dict[str, bytes], name: str) -> list[tuple[str, str]]:
    """Return what an Application is made of; its file holds exactly one document."""
    return [(item["kind"], item["metadata"]["name"]) for item in yaml.load(files[f"apps/{name}/objects.yaml"])["items"]]


@pytest.mark.django_db(transaction=True)
def test_values_arrive_as_they_were_written_and_as_by_the_api(desk: ChangeDesk) -> None:
    config = {f"v{number}": value for number, value in enumerate(HOSTILE)}
    desk.commit({path_of("notices"): intent("notices", "board", "^1.0", config=config)})

    told = desk.send()

    assert "Accepted: " in told, told
    pushed = ChangePreview.objects.get(state="open", branch=BRANCH)
    sent = by_api(desk, install=(Install(blueprint="bp-board", version="^1.0", name="notices", config=config),))
    assert isinstance(sent, ChangePreview)
    assert pushed.target_tree == sent.target_tree
    files, main = tree_of(desk, pushed), desk.desk.tree()
    assert all(ALLOWED_PATHS.fullmatch(path) for path in files)
    assert {path for path in files if "notices" not in path} == set(main)
    assert yaml.load(files[path_of("notices")])["spec"]["config"] == config
    plain = by_api(desk, install=(Install(blueprint="bp-board", version="^1.0", name="notices"),))
    assert isinstance(plain, ChangePreview)
    assert kinds_of(files, "notices") == kinds_of(tree_of(desk, plain), "notices")


@pytest.mark.django_db(transaction=True)
def test_what_cannot_be_written_is_refused_by_both(desk: ChangeDesk) -> None:
    for value in UNWRITABLE:
        desk.reset()
        text = (
            yaml.dump({"title": value}).decode() if value != 1.5 else "title: 1.5\n"  # the dumper writes no fractions
        )
        document = (desk.folder / path_of("wiki")).read_text()
        lines = "".join(f"    {line}\n" for line in text.splitlines())
        desk.commit({path_of("wiki"): document.replace("  config: {}\n", f"  config:\n{lines}").encode()})
        before = desk.everything()

        told = desk.send()

        assert desk.everything() == before
        assert "refused configuration spec.config.title" in told, (value, told)
        assert by_api(desk, configure=(Configure(application="wiki", config={"title": value}),)) in REFUSED


@pytest.mark.django_db(transaction=True)
def test_what_readers_of_yaml_disagree_on_is_refused(desk: ChangeDesk) -> None:
    document = (desk.folder / path_of("wiki")).read_text()
    for value in PLAIN:
        desk.reset()
        desk.commit({path_of("wiki"): document.replace("  config: {}\n", f"  config: {{title: {value}}}\n").encode()})
        before = desk.everything()

        told = desk.send()

        assert desk.everything() == before
        assert "apps/wiki/application.yaml:" in told, (value, told)


@pytest.mark.django_db(transaction=True)
def test_a_name_can_be_no_path_and_no_option(desk: ChangeDesk) -> None:
    for name in NAMES:
        assert not is_intent(f"apps/{name}/application.yaml")
        with pytest.raises(ChangePushRefused):
            build_request({path_of("fine"): intent(name, "board", "^1.0")}, {})
        desk.reset()
        desk.commit(
            {
                path_of("notices"): intent("notices", name or " ", "^1.0"),
                **desk.edited(bindings={"db": {"application": name or " "}}),
            }
        )
        before = desk.everything()
        assert "nothing has changed; see above" in desk.send()
        assert desk.everything() == before
        assert by_api(desk, install=(Install(blueprint=f"bp-{name or ' '}", version="^1.0"),)) in {
            "unresolvable",
            "request_refused",
        }


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"), max_size=20))
@settings(max_examples=200, deadline=None)
def test_any_text_is_read_as_what_it_is(value: str) -> None:
    content = intent("notices", "board", "^1.0", config={"color": value})

    asked = build_request({path_of("notices"): content}, {})

    assert asked.as_request("").install == (
        Install(blueprint="bp-board", version="^1.0", name="notices", config={"color": value}),
    )


def test_a_file_that_grows_without_end_is_refused_at_once() -> None:
    bomb = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 9)}]\n".encode() for n in range(8)
    )
    deep = b"[" * 5_000
    for content in (bomb, deep, b"{" * 5_000, b"- " * 5_000, b"? " * 5_000):
        with pytest.raises(ChangePushRefused, match=r"apps/notices/application.yaml:\d+: refused yaml_refused"):
            build_request({path_of("notices"): content}, {})
