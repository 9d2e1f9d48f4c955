"""A person configures what runs: the same judgment as everywhere, one Change, one commit."""

from typing import Any

import pytest
from django.utils import timezone

from catalyst.core.errors import DomainError
from catalyst.core.gitops.message import parse_trailers
from marketplace.models import Application, ApplicationEdit, Change
from marketplace.selectors import selection
from marketplace.selectors.offer import load_offer
from marketplace.services.edits_config import ConfigurationRefused
from marketplace.services.selection_settings import check_settings
from tenancy.models import Organization, Sovereign, User
from tests.marketplace.deliver_rows import Desk
from tests.marketplace.upgrade_rows import configure, installed, needs, publish, ready, settings_of, shown_of

pytestmark = pytest.mark.django_db(transaction=True)

SCHEMA = settings_of(
    "title",
    cache={"type": "boolean", "title": "Cache", "default": False},
    language={"type": "string", "title": "Language", "default": "en", "x-catalyst-immutable": True},
    token={"type": "string", "title": "Token", "x-catalyst-ui-hint": "password"},
    search={
        "type": "string",
        "x-catalyst-ui-hint": "application-ref",
        "x-catalyst-ui-filter": {"blueprint": "bp-search"},
    },
)
WHEN = "{{ .config.cache == true }}"


@pytest.fixture
def desk(sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any) -> Desk:
    """Sell a wiki that brings a cache when it is told to."""
    publish("cache", "1.0.0", kind="service")
    publish(
        "wiki",
        "1.2.0",
        depends=[needs("cache", "^1", "cache", sharing="dedicated", when=WHEN)],
        spec={"configSchema": SCHEMA, "manifests": _manifests()},
        shown="config.title",
    )
    desk = Desk(organization, org_admin)
    ready(desk, desk.deliver(desk.order("OMN-2026-000001", "bp-wiki", **{"bp-wiki": {"title": "Books"}})))
    return desk


def _manifests() -> dict[str, Any]:
    large = {"footprint": {"memoryMiB": 400, "cpuMilli": 100, "diskGiB": 1}}
    return {"source": {"kind": "Kustomize", "path": "manifests"}, "overlays": {"large": large}}


def refusal(desk: Desk, config: Any, **more: Any) -> DomainError:
    """Return the refusal of a configuration; nothing has changed."""
    with pytest.raises(DomainError) as refused:
        configure(desk, more.pop("application", "wiki"), config, **more)
    assert Application.objects.get(slug="wiki").config == {"title": "Books"}
    assert (Change.objects.count(), ApplicationEdit.objects.count(), len(desk.history())) == (1, 0, 1)
    return refused.value


def test_one_commit_by_the_person_changes_what_is_set(desk: Desk) -> None:
    assert 'values: "Books"' in shown_of(desk, "wiki")

    change = configure(desk, "wiki", {"title": "Manuals", "token": {"secret": "token"}}, reason="A better name.")

    commit = desk.history()[-1]
    assert commit.message.splitlines()[0] == "configure wiki: title, token"
    assert "A better name." in commit.message
    assert parse_trailers(commit.message)["Catalyst-Change"] == str(change.pk)
    assert commit.author.name == desk.buyer.display_name
    assert 'values: "Manuals"' in shown_of(desk, "wiki")
    assert Application.objects.get(slug="wiki").config == {"title": "Manuals", "token": {"secret": "token"}}
    assert desk.statuses() == {"wiki": "updating"}
    ready(desk, change)
    assert desk.statuses() == {"wiki": "ready"}
    change.refresh_from_db()
    assert change.state == "succeeded"


def test_a_condition_that_becomes_true_brings_its_dependency(desk: Desk) -> None:
    change = configure(desk, "wiki", {"title": "Books", "cache": True})

    assert change.summary == "configure wiki: cache; install wiki-cache (bp-cache 1.0.0)"
    assert Application.objects.get(slug="wiki").bindings == {"cache": "wiki-cache"}
    assert Application.objects.get(slug="wiki-cache").requested_by == ["wiki"]
    assert "apps/wiki-cache/application.yaml" in desk.tree()
    ready(desk, change)
    assert desk.statuses() == {"wiki": "ready", "wiki-cache": "ready"}


def test_a_condition_that_becomes_false_leaves_the_service_where_it_is(desk: Desk) -> None:
    configure(desk, "wiki", {"title": "Books", "cache": True})

    configure(desk, "wiki", {"title": "Books", "cache": False})

    assert Application.objects.get(slug="wiki").bindings == {}
    assert Application.objects.get(slug="wiki-cache").requested_by == ["wiki"]
    assert installed(desk) == {"wiki": "1.2.0", "wiki-cache": "1.0.0"}
    configure(desk, "wiki", {"title": "Books", "cache": True})
    assert Application.objects.get(slug="wiki").bindings == {"cache": "wiki-cache"}


def test_a_size_is_part_of_it(desk: Desk) -> None:
    change = configure(desk, "wiki", {"title": "Books"}, size="medium")

    assert change.summary == "configure wiki: size"
    assert 'size: "medium"' in desk.tree()["apps/wiki/application.yaml"].decode()


@pytest.mark.parametrize(
    ("config", "pointer"),
    [
        ({"title": 7}, "/config/title"),
        ({"colour": "red"}, "/config"),
        ({"title": "Books", "token": "plain text"}, "/config/token"),
        (["title"], "/config"),
    ],
)
def test_refuses_what_does_not_fit_the_schema(desk: Desk, config: Any, pointer: str) -> None:
    refused = refusal(desk, config)

    assert (refused.code, refused.status, refused.pointer) == ("configuration_refused", 422, pointer)
    assert refused.extra["problems"][0]["pointer"] == pointer


def test_refuses_what_is_chosen_once(desk: Desk) -> None:
    refused = refusal(desk, {"title": "Manuals", "language": "ar"})

    assert (refused.code, refused.pointer) == ("setting_immutable", "/config/language")
    assert refused.message == "Language is chosen once, when it is installed. Leave it as it is."
    assert configure(desk, "wiki", {"title": "Manuals", "language": "en"}).state == "reconciling"


def test_refuses_the_same_again_and_what_is_not_there(desk: Desk) -> None:
    assert refusal(desk, {"title": "Books"}).code == "nothing_to_change"
    assert refusal(desk, {}, application="blog").code == "not_found"
    assert refusal(desk, {"title": "Books"}, size="huge").code == "size_refused"


def test_refuses_what_brings_no_solution(desk: Desk) -> None:
    taken = Application.objects.get(slug="wiki")
    taken.pk, taken.slug = None, "wiki-cache"
    taken.save()

    assert refusal(desk, {"title": "Books", "cache": True}).code == "unresolvable"


def test_another_application_is_named_only_where_it_runs(desk: Desk, org_admin: User) -> None:
    wanted = {"title": "Books", "search": "search"}
    refused = refusal(desk, wanted)
    assert (refused.code, refused.pointer) == ("configuration_refused", "/config/search")
    publish("search", "1.0.0")
    offer = load_offer(desk.organization, currency="OMR", at=timezone.now())
    settings = selection.settings_of(offer, selection.lock_selection(offer, ("bp-wiki",), {}), ("bp-wiki",))
    with pytest.raises(ConfigurationRefused) as bought:
        check_settings(settings, {"bp-wiki": wanted}, buyer_email=org_admin.email)
    check_settings(settings, {"bp-wiki": wanted}, buyer_email="", applications={"search": "bp-search"})

    desk.deliver(desk.order("OMN-2026-000002", "bp-search"))
    configure(desk, "wiki", wanted)

    assert bought.value.pointer == "/config/bp-wiki/search"
    assert Application.objects.get(slug="wiki").config == wanted
