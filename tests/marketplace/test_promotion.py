"""From one Environment to the next: exact versions and settings go along, what belongs to the target stays."""

from typing import Any

import pytest

from catalyst.core.errors import DomainError
from catalyst.core.gitops.message import parse_trailers
from marketplace.models import Application, Change, ChangePreview
from marketplace.services.change_previews import apply_preview, preview_change
from marketplace.services.changes_commit import commit_changes
from marketplace.services.changes_repository import repository_of
from marketplace.services.planner_request import ChangeRequest, Configure, Install
from tenancy.models import Environment, Organization, Sovereign, User
from tenancy.services.environments import create_environment
from tests.marketplace.deliver_rows import LATER
from tests.marketplace.upgrade_rows import needs, publish, settings_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("nothing_is_sold")]

SCHEMA = settings_of("title", "color", hostname={"type": "string", "title": "Host", "x-catalyst-env-specific": True})


class Stage:
    """One Environment and the person who works there."""

    def __init__(self, organization: Organization, env_type: str, person: User) -> None:
        self.person = person
        self.pk = create_environment(organization=organization, env_type=env_type, actor=person, now=LATER).pk

    def environment(self) -> Environment:
        return Environment.objects.select_related("organization").get(pk=self.pk)

    def look(self, **parts: Any) -> ChangePreview:
        request = ChangeRequest(**parts)
        return preview_change(environment=self.environment(), request=request, actor=self.person, now=LATER)

    def do(self, **parts: Any) -> Change:
        preview = self.look(**parts)
        change = apply_preview(environment=self.environment(), preview_id=preview.pk, actor=self.person, now=LATER)
        commit_changes(environment_id=self.pk, owner="worker-1", now=LATER)
        change.refresh_from_db()
        assert change.commit, change.status_reason
        return change

    def row(self, slug: str) -> Application:
        return Application.objects.get(environment=self.pk, slug=slug, removed_by=None)


@pytest.fixture
def stages(
    sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any
) -> tuple[Stage, Stage]:
    """Return dev, where a wiki runs on a database, and an empty stg."""
    publish("sql", "1.0.0", kind="service")
    publish("wiki", "1.2.0", depends=[needs("sql", "^1.0", "db")], spec={"configSchema": SCHEMA})
    dev, stg = (Stage(organization, env_type, org_admin) for env_type in ("dev", "stg"))
    dev.do(install=(Install(blueprint="bp-wiki", config={"title": "Old", "hostname": "dev.example"}),))
    return dev, stg


def test_everything_arrives_with_its_exact_versions(stages: tuple[Stage, Stage]) -> None:
    dev, stg = stages

    change = stg.do(promote_from="dev")

    assert change.kind == "promote"
    assert change.summary == "promote from acme-dev: shared-sql (bp-sql 1.0.0), wiki (bp-wiki 1.2.0)"
    for slug in ("wiki", "shared-sql"):
        assert stg.row(slug).blueprint_version_id == dev.row(slug).blueprint_version_id
    assert stg.row("wiki").config == {"title": "Old"}
    assert stg.row("wiki").bindings == {"db": "shared-sql"}
    commit = next(repository_of(stg.environment()).log_first_parent(change.commit, limit=1))
    assert parse_trailers(commit.message)["Catalyst-Promoted-From"] == f"acme-dev@{dev.environment().head_commit}"


def test_what_belongs_to_the_target_stays(stages: tuple[Stage, Stage]) -> None:
    dev, stg = stages
    stg.do(promote_from="dev")
    stg.do(configure=(Configure(application="wiki", config={"title": "Old", "color": "ours"}, size="medium"),))
    publish("wiki", "1.3.0", depends=[needs("sql", "^1.0", "db")], spec={"configSchema": SCHEMA})
    dev.do(upgrade={"wiki": ""}, configure=(Configure(application="wiki", config={"title": "New"}),))

    stg.do(promote_from="dev", promote=("wiki",))

    row = stg.row("wiki")
    assert (row.blueprint_version.version, row.size) == ("1.3.0", "medium")
    assert row.config == {"title": "New", "color": "ours"}


def test_what_both_sides_changed_is_decided_by_a_person(stages: tuple[Stage, Stage]) -> None:
    dev, stg = stages
    stg.do(promote_from="dev")
    stg.do(configure=(Configure(application="wiki", config={"title": "Ours"}),))
    dev.do(configure=(Configure(application="wiki", config={"title": "Theirs"}),))

    preview = stg.look(promote_from="dev", promote=("wiki",))
    assert [(each["code"], each["pointer"]) for each in preview.shown["problems"]] == [
        ("promotion_conflict", "/values/wiki/title")
    ]

    stg.do(promote_from="dev", promote=("wiki",), values={"wiki": {"title": "Theirs"}})

    assert stg.row("wiki").config["title"] == "Theirs"


def test_a_binding_that_is_missing_is_a_problem_with_its_fix(stages: tuple[Stage, Stage]) -> None:
    _dev, stg = stages

    preview = stg.look(promote_from="dev", promote=("wiki",))

    assert {each["code"] for each in preview.shown["problems"]} == {"binding_missing", "needed"}
    assert "Promote shared-sql in the same change." in preview.shown["problems"][0]["detail"]


def test_nothing_to_promote_is_said(stages: tuple[Stage, Stage]) -> None:
    _dev, stg = stages
    stg.do(promote_from="dev")

    with pytest.raises(DomainError) as refused:
        stg.look(promote_from="dev")

    assert refused.value.code == "nothing_to_change"


def test_a_promotion_is_rolled_back_like_anything_else(stages: tuple[Stage, Stage]) -> None:
    _dev, stg = stages
    change = stg.do(promote_from="dev")

    stg.do(revert=str(change.pk))

    assert not Application.objects.filter(environment=stg.pk, removed_by=None).exists()


def test_another_organizations_environment_is_not_found(stages: tuple[Stage, Stage], stranger: User) -> None:
    other = Organization.objects.get(slug="globex")
    theirs = Stage(other, "uat", stranger)

    with pytest.raises(DomainError) as refused:
        theirs.look(promote_from="dev")

    assert refused.value.code == "not_found"
