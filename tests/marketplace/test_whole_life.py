"""The whole life of an Application through pages, API and Git: from its installation in dev to its end in prod.

Every commit of every repository builds and is valid, the tree is what the rows say, and the projections are rebuilt
equal. Approvals and soak are those of real policies, the time is the one clock of Postgres and Python.
"""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from catalyst.core.gitops.yaml import dump, load
from marketplace.models import Application, ApplicationStatus, Change
from marketplace.services.change_gates import advance_gates
from marketplace.services.changes_commit import commit_changes
from marketplace.services.changes_desired import desired_applications, desired_files
from marketplace.services.changes_repository import repository_of
from marketplace.services.changes_sweep import settle_changes
from marketplace.services.flux_observe import process_messages
from marketplace.services.policy_edits import save_policy
from tenancy.models import Environment, Membership, Organization, Sovereign, User
from tenancy.services.environments import create_environment
from tests.clock import MovableClock
from tests.factories import MembershipFactory, UserFactory
from tests.marketplace.deliver_rows import publish_events
from tests.marketplace.every_commit import check_every_commit
from tests.marketplace.flux_words import say
from tests.marketplace.push_desk import git, token_for
from tests.marketplace.upgrade_rows import needs, publish, settings_of

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("nothing_is_sold", "catalyst_home"),
    pytest.mark.timeout(300),
]

STAGES = ("dev", "stg", "uat", "prod")
SCHEMA = {"configSchema": settings_of("title")}
WIKI: dict[str, Any] = {"depends": [needs("sql", "^1.0", "db")], "spec": SCHEMA}


class Company:
    """One Organization with four Environments, its people, and the surfaces that they use."""

    def __init__(
        self, organization: Organization, admin: User, api_as: Callable[..., APIClient], clock: MovableClock
    ) -> None:
        self.organization, self.admin, self.clock = organization, admin, clock
        self.developer = MembershipFactory.create(organization=organization, role=Membership.Role.DEVELOPER).user
        self.officer = MembershipFactory.create(organization=organization, role=Membership.Role.SECURITY).user
        self.api, self.officers_api = api_as(self.developer), api_as(self.officer)
        self.page = Client()
        self.page.force_login(self.developer)
        for env_type in STAGES:
            create_environment(organization=organization, env_type=env_type, actor=admin, now=timezone.now())

    def environment(self, env_type: str) -> Environment:
        rows = Environment.objects.select_related("organization")
        return rows.get(organization=self.organization, env_type=env_type)

    def rules(self, env_type: str, *rules: dict[str, Any]) -> None:
        manager = UserFactory.create(staff_role="sovereign-admin")
        save_policy(environment=self.environment(env_type), rules=list(rules), actor=manager, now=timezone.now())

    def address(self, env_type: str, path: str) -> str:
        return f"/api/v1/organizations/{self.organization.slug}/environments/{env_type}/{path}"

    def by_api(self, env_type: str, **asked: Any) -> Change:
        """Preview and apply over the API."""
        looked = self.api.post(self.address(env_type, "change-previews/"), asked, format="json")
        assert looked.status_code == 201, looked.json()
        assert looked.json()["problems"] == []
        applied = self.api.post(self.address(env_type, f"change-previews/{looked.json()['id']}/apply/"))
        assert applied.status_code == 201, applied.json()
        return self.save(env_type, applied.json()["change"])

    def by_page(self, address: str, **posted: Any) -> Change:
        """Ask on a page, look at the preview it leads to, and apply that."""
        asked = self.page.post(address, posted)
        assert asked.status_code == 303, asked.content.decode()
        preview = asked.headers["Location"]
        assert self.page.get(preview).status_code == 200
        applied = self.page.post(preview, {"action": "apply"})
        assert applied.status_code == 303, applied.content.decode()
        newest = Change.objects.filter(organization=self.organization).order_by("-created_at")[0]
        return self.save(newest.environment.env_type, newest.pk)

    def save(self, env_type: str, change_id: Any) -> Change:
        """Do what the worker does."""
        commit_changes(environment_id=self.environment(env_type).pk, owner="worker-1", now=timezone.now())
        publish_events()
        return Change.objects.get(pk=change_id)

    def applied(self, change: Change, **word: Any) -> Change:
        """Let the cluster say its word on everything that stands at this commit."""
        environment = change.environment
        slugs = Application.objects.filter(environment=environment, removed_by=None).values_list("slug", flat=True)
        for slug in slugs:
            say(environment, slug, change.commit, **word)
        process_messages()
        publish_events()
        settle_changes(now=timezone.now(), environment_id=environment.pk)
        publish_events()
        change.refresh_from_db()
        return change

    def approve(self, env_type: str, change: Change) -> None:
        answer = self.officers_api.post(
            self.address(env_type, f"changes/{change.pk}/approvals/"), {"preview": change.preview_id}, format="json"
        )
        assert answer.status_code == 201, answer.json()

    def sweep(self, env_type: str, change: Change) -> Change:
        Change.objects.filter(pk=change.pk).update(next_action_at=timezone.now() - timedelta(seconds=1))
        advance_gates(now=timezone.now())
        return self.save(env_type, change.pk)

    def versions(self, env_type: str) -> dict[str, str]:
        rows = Application.objects.filter(environment=self.environment(env_type), removed_by=None)
        return dict(rows.order_by("slug").values_list("slug", "blueprint_version__version"))

    def status(self, env_type: str, slug: str) -> str:
        return ApplicationStatus.objects.get(environment_id=self.environment(env_type).pk, application=slug).status

    def check(self) -> None:
        """Every commit is sound, and the tree is what the rows say."""
        for env_type in STAGES:
            environment = self.environment(env_type)
            repository = repository_of(environment)
            saved = Change.objects.filter(environment=environment).exclude(commit="").order_by("seq")
            assert check_every_commit(repository) == [str(each.pk) for each in saved]
            if environment.head_commit:
                tree = repository.read_tree(environment.head_commit)
                rows = desired_applications(environment, change=None)
                readme, owners = tree["README.md"].decode(), tree["CODEOWNERS"].decode()
                assert desired_files(environment, rows, readme=readme, code_owners=owners) == tree


@pytest.fixture
def company(
    sovereign: Sovereign,
    organization: Organization,
    org_admin: User,
    api_as: Callable[..., APIClient],
    clock: MovableClock,
) -> Company:
    publish("sql", "1.0.0", kind="service")
    publish("wiki", "1.2.0", **WIKI)
    company = Company(organization, org_admin, api_as, clock)
    company.rules("uat", {"kind": "pr-required", "approvers": ["security-officer"], "minApprovals": 1})
    company.rules(
        "prod",
        {"kind": "pr-required", "approvers": ["security-officer"], "minApprovals": 1},
        {"kind": "soak", "sourceEnvironment": "acme-uat", "duration": "2h"},
    )
    return company


def test_from_its_installation_to_its_end(company: Company, live_server: Any, tmp_path: Path) -> None:
    root = "/console/acme/applications/{}/wiki/ask/"
    # Installed by API, configured by a push, upgraded by API.
    installed = company.applied(company.by_api("dev", install=[{"blueprint": "bp-wiki", "config": {"title": "Old"}}]))
    assert (installed.state, company.status("dev", "wiki")) == ("succeeded", "ready")
    configured = _push(company, live_server.url, tmp_path / "work", {"title": "New"})
    company.applied(configured)
    assert Application.objects.get(environment=configured.environment, slug="wiki").config == {"title": "New"}
    publish("wiki", "1.3.0", **WIKI)
    company.applied(company.by_api("dev", upgrade=["wiki"]))
    assert company.versions("dev") == {"shared-sql": "1.0.0", "wiki": "1.3.0"}

    # Promoted to stg, then with an approval to uat, then after its soak to prod.
    company.applied(company.by_api("stg", promote_from="dev"))
    waiting = company.by_api("uat", promote_from="stg")
    assert (waiting.state, waiting.commit) == ("awaiting_gates", "")
    company.approve("uat", waiting)
    company.applied(company.sweep("uat", waiting))
    assert company.versions("uat") == company.versions("dev")
    waiting = company.by_api("prod", promote_from="uat")
    company.approve("prod", waiting)
    assert company.sweep("prod", waiting).state == "awaiting_gates"
    company.clock.advance(timedelta(hours=2, minutes=1))
    promoted = company.applied(company.sweep("prod", waiting))
    assert (promoted.state, company.status("prod", "wiki")) == ("succeeded", "ready")
    assert "Catalyst-Approved-By" in _message(company, "prod")

    # It breaks in dev and is rolled back on the page; the tree is the one of before, byte for byte.
    before = repository_of(company.environment("dev")).read_tree(company.environment("dev").head_commit)
    publish("wiki", "1.4.0", **WIKI)
    broken = company.by_api("dev", upgrade=["wiki"])
    company.applied(broken, severity="error", reason="HealthCheckFailed", message="timeout waiting")
    assert company.status("dev", "wiki") == "failed"
    back = company.by_page(f"/console/acme/dev/changes/{broken.pk}/back/")
    company.applied(back)
    assert (back.kind, back.reverts_id) == ("revert", broken.pk)
    assert repository_of(company.environment("dev")).read_tree(back.commit) == before
    assert company.status("dev", "wiki") == "ready"

    # And it goes, on the page.
    removed = company.by_page(root.format("dev"), act="remove")
    assert company.versions("dev") == {}
    assert company.status("dev", "wiki") == "deleting"
    assert removed.commit == company.environment("dev").head_commit
    company.check()


def _push(company: Company, server: str, folder: Path, config: dict[str, Any]) -> Change:
    address = f"{server.replace('http://', f'http://me:{token_for(company.developer)}@')}/git/acme/acme-dev.git"
    assert git("clone", "--quiet", address, str(folder), folder=folder.parent).returncode == 0
    path = folder / "apps/wiki/application.yaml"
    document = load(path.read_bytes())
    document["spec"]["config"] = config
    path.write_bytes(dump(document))
    git("commit", "--quiet", "--all", "--message=Another title", folder=folder)
    pushed = git("push", "-o", "catalyst.apply", address, "HEAD:refs/heads/change/title", folder=folder)
    assert pushed.returncode == 0, pushed.stderr
    newest = Change.objects.filter(organization=company.organization).order_by("-created_at")[0]
    return company.save("dev", newest.pk)


def _message(company: Company, env_type: str) -> str:
    environment = company.environment(env_type)
    return next(repository_of(environment).log_first_parent(environment.head_commit, limit=1)).message
