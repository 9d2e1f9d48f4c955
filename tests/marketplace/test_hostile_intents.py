"""Whatever a person asks for is refused with a code, or stands in the tree exactly as it was asked for."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import pygit2
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from catalyst.core.errors import DomainError
from catalyst.core.gitops import yaml
from catalyst.core.gitops.build import build
from catalyst.core.gitops.message import build_message, parse_trailers
from catalyst.core.gitops.validate import validate_objects
from catalyst.core.gitops.yaml import YamlRefused
from marketplace.manifests.facts import ManifestsRefused
from marketplace.manifests.paths import ALLOWED_PATHS
from marketplace.manifests.reading import read_intent, read_stated
from marketplace.models import Application, Change, ChangePreview
from marketplace.services.change_previews import preview_change
from marketplace.services.changes_desired import desired_files, texts_of
from marketplace.services.planner import plan_change
from marketplace.services.planner_request import ChangeRequest, Configure, Install
from marketplace.services.preview_look import rows_in_tree
from tenancy.models import Organization, Sovereign, User
from tests.marketplace.deliver_rows import LATER, Desk
from tests.marketplace.upgrade_rows import needs, publish, settings_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("nothing_is_sold")]

TEXTS: Final = (
    "---",
    "...\n---\nkind: Secret",
    "line\nbreak\r\n",
    "\u2028",
    "\u2029x",
    "\x85",
    "\ufeffx",
    "\u202eevil\u2066",
    "# no comment",
    "a # b",
    "&a",
    "*a",
    "!!python/object:os.system",
    "<<",
    "'\"\\",
    "{{ .Values.x }}",
    "${HOME} $(HOSTNAME)",
    "1e3",
    "0440",
    "12:30",
    "yes",
    "NaN",
    ".inf",
    "~",
    "null",
    "",
    " ",
    "../../etc/passwd",
    "-rf",
    "--upload-pack=x",
    "a" * 5_000,
    "\x00",
    "\x1b[31m",
    "\ud800",
    "Catalyst-Seq: 99",
    "x\n\nCatalyst-Change: 1\nCatalyst-Seq: 1",
)
NAMES: Final = (
    *TEXTS[::4],
    "\x00",
    "../x",
    "kustomization",
    "wiki",
    "shared-sql",
    "a",
    "a-",
    "A",
    "a" * 54,
    ".git",
    "x/y",
)

hostile: Final = st.one_of(st.sampled_from(TEXTS), st.text(max_size=40))
#: Everything that JSON can say, and what Python says besides.
anything: Final = st.recursive(
    st.one_of(hostile, st.integers(), st.booleans(), st.none(), st.just(1e3), st.just(float("nan"))),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(hostile, inner, max_size=3)),
    max_leaves=6,
)
configs: Final = st.dictionaries(st.one_of(st.sampled_from(("title", "slogan")), hostile), anything, max_size=3)
modest: Final = settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@pytest.fixture
def desk(sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any) -> Desk:
    publish("sql", "1.0.0", kind="service")
    schema = settings_of("title", "slogan")
    publish("wiki", "1.2.0", depends=[needs("sql", "^1.0", "db")], spec={"configSchema": schema}, shown="config.title")
    publish("board", "1.0.0", spec={"configSchema": settings_of("title", "slogan")}, shown="config.title")
    desk = Desk(organization, org_admin)
    desk.deliver(desk.order("OMN-2026-000001", "bp-wiki"))
    return desk


def written(desk: Desk) -> tuple[Any, ...]:
    """Return everything that only a Change may alter."""
    rows = Application.objects.order_by("pk").values_list("slug", "config", "size", "state", "version_range")
    return list(rows), Change.objects.count(), desk.repository().head()


def check_request(desk: Desk, request: ChangeRequest, *, reason: str = "") -> ChangePreview | None:
    """Ask for it: refused with a code, or a whole tree of exactly that; None when it was refused."""
    before, previews = written(desk), ChangePreview.objects.count()
    try:
        preview = preview_change(
            environment=desk.environment(), request=request, actor=desk.buyer, reason=reason, now=LATER
        )
    except DomainError as error:
        is_known = bool(error.code) and error.status in {404, 409, 422}
        assert is_known
        assert (written(desk), ChangePreview.objects.count()) == (before, previews)
        return None
    assert written(desk) == before
    if problems := preview.shown["problems"]:
        assert all(each["code"] and each["detail"] for each in problems)
        return None
    check_tree(desk, request, preview)
    return preview


def check_tree(desk: Desk, request: ChangeRequest, preview: ChangePreview) -> None:
    files = files_of(desk, preview.target_tree)
    # It survives its way through the database; of two that come to one tree the first is kept.
    assert ChangeRequest.from_json(json.loads(json.dumps(request.as_json()))) == request
    stored = ChangeRequest.from_json(preview.request)
    rows = list(
        Application.objects.filter(removed_by=None)
        .select_related("blueprint_version__blueprint", "change")
        .order_by("slug")
    )
    plan = plan_change(desk.environment(), rows, stored, actor=desk.buyer, now=LATER)
    wanted = {row.slug: row for row in rows_in_tree(plan)}
    stated = read_stated(files)
    assert {name: asked_of(each.intent) for name, each in stated.items()} == {
        name: (row.config, row.size, row.state, row.version_range) for name, row in wanted.items()
    }
    for each in request.install:
        assert any(asked_of(one.intent)[0] == each.config for one in stated.values())
    for wished in request.configure:
        assert stated[wished.application].intent.config == wished.config
    assert all(ALLOWED_PATHS.fullmatch(path) for path in files)
    assert {path for path in files if path.endswith(".yaml") and len(yaml.load_documents(files[path])) != 1} == set()
    for name in stated:
        folder = {path.removeprefix(f"apps/{name}/"): text for path, text in files.items() if f"apps/{name}/" in path}
        assert validate_objects(build(folder)) == []
    texts = texts_of(desk.tree(), readme=request.readme, code_owners=request.code_owners)
    again = desired_files(desk.environment(), rows_in_tree(plan), readme=texts[0], code_owners=texts[1])
    assert again == files


def files_of(desk: Desk, tree: str) -> dict[str, bytes]:
    """Return every file of a tree; all are plain files of mode 100644."""
    repository = pygit2.Repository(str(desk.repository().path))
    found: dict[str, bytes] = {}
    pending: list[tuple[str, Any]] = [("", repository[tree])]
    while pending:
        prefix, folder = pending.pop()
        for entry in folder:
            if isinstance(entry, pygit2.Tree):
                pending.append((f"{prefix}{entry.name}/", entry))
                continue
            assert (isinstance(entry, pygit2.Blob), entry.filemode) == (True, 0o100644)
            found[f"{prefix}{entry.name}"] = entry.data
    return dict(sorted(found.items()))


def asked_of(intent: Any) -> tuple[Mapping[str, Any], str, str, str]:
    return intent.config, intent.size, intent.state, intent.constraint


def test_settings_of_every_kind(desk: Desk) -> None:
    outcomes: set[bool] = set()

    @modest
    @given(configs)
    @example({"title": "\u2028 --- # {{ x }}"})
    @example({"title": [[[[[[[[[[[[[[[[[[[[[[[["deep"]]]]]]]]]]]]]]]]]]]]]]]]})
    def check(config: dict[str, Any]) -> None:
        request = ChangeRequest(
            install=(Install(blueprint="bp-board", config=config),),
            configure=(Configure(application="wiki", config=config),),
        )
        outcomes.add(check_request(desk, request) is not None)

    check()
    assert outcomes == {True, False}


def test_every_text_of_the_corpus_as_a_setting(desk: Desk) -> None:
    refused = {text for text in TEXTS if not check_request(desk, _titled(text))}

    # Control characters, and what kustomize writes so that readers of YAML disagree on it.
    assert refused == {"\x00", "\x1b[31m", "\x85", "\ud800", "<<"}


def _titled(text: str) -> ChangeRequest:
    return ChangeRequest(configure=(Configure(application="wiki", config={"title": text}),))


def test_names_of_every_kind(desk: Desk) -> None:
    for name in NAMES:
        check_request(desk, ChangeRequest(install=(Install(blueprint="bp-board", name=name),)))
        for asked in ({"remove": (name,)}, {"upgrade": {name: ""}}, {"upgrade": {"wiki": name}}, {"revert": name}):
            check_request(desk, ChangeRequest(**asked))
        check_request(desk, ChangeRequest(promote_from=name))
        check_request(desk, ChangeRequest(install=(Install(blueprint=name),)))
        check_request(desk, ChangeRequest(install=(Install(blueprint="bp-board", version=name),)))
        check_request(desk, ChangeRequest(install=(Install(blueprint="bp-board", size=name),)))


def test_texts_for_people_of_every_kind(desk: Desk) -> None:
    @settings(modest, max_examples=10)
    @given(hostile, hostile)
    def check(readme: str, owners: str) -> None:
        check_request(desk, ChangeRequest(readme=readme, code_owners=owners, pause=("wiki",)))

    check()


@given(hostile, hostile)
@settings(max_examples=300, deadline=None)
def test_a_reason_forges_no_trailer(summary: str, reason: str) -> None:
    trailers = {"Catalyst-Change": "the-change", "Catalyst-Seq": "7", "Catalyst-Reverts": ""}
    try:
        message = build_message(summary, reason=reason, trailers=trailers)
    except ValueError:
        assert not any(each.isalnum() for each in summary)
        return
    assert parse_trailers(message) == {"Catalyst-Change": "the-change", "Catalyst-Seq": "7"}


_BOMB: Final = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(8)
)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (_BOMB, "Anchors and aliases are not allowed"),
        ("a: " + "[" * 10_000, "levels deep"),
        ("x: " + "{a: " * 60 + "1" + "}" * 60, "levels deep"),
        ("".join(f"k{n}: {{}}\n" for n in range(60_000)), "bytes|values"),
        ("a: !!python/object/apply:os.system [id]\n", "Tags are not allowed"),
        ("%YAML 1.1\n---\na: 1\n", "Directives are not allowed"),
        ("a: 1\n---\nb: 2\n", "Exactly one document"),
        ("a: 1\na: 2\n", "stands twice"),
        ("a: yes\n", "in quotes"),
        ("? [a]\n: 1\n", "A key must be text"),
    ],
    ids=["bomb", "open", "deep", "wide", "tag", "directive", "two", "twice", "yes", "key"],
)
def test_an_intent_that_is_a_trap_is_refused_in_no_time(content: str, reason: str) -> None:
    with pytest.raises(DomainError, match=reason):
        read_intent("wiki", content.encode())


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda text: text.encode(errors="replace"))))
@settings(max_examples=300, deadline=None)
def test_any_bytes_at_all_are_an_intent_or_refused_with_a_code(content: bytes) -> None:
    with suppress(YamlRefused, ManifestsRefused):
        read_intent("wiki", content)
