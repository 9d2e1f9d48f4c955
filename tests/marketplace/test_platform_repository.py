"""The platform's repository follows the rows: one commit for each difference, none without, nobody else's."""

from dataclasses import replace
from typing import Any

import pytest

from billing.models import Subscription
from billing.services.subscription_changes import ChangeSelection
from catalyst.core.gitops import yaml
from catalyst.core.gitops.message import Person
from catalyst.core.models import Incident, Outbox
from marketplace.manifests.platform_facts import PLATFORM_PATHS
from marketplace.selectors.capacity import OVERHEAD
from marketplace.services import platform_repository
from marketplace.services.platform_desired import platform_facts, quota_of
from marketplace.services.platform_news import follow_platform
from marketplace.services.platform_repository import PlatformForeignCommit, sync_environment, sync_platform
from marketplace.services.policy_edits import save_policy
from marketplace.tasks import sweep_platform_task
from tenancy.models import Environment, Organization, Sovereign, User
from tenancy.services.environments import create_environment
from tests.billing.changing import change, stock, subscribe
from tests.billing.shop import open_shop
from tests.billing.subscribed import deliver
from tests.conftest import owner_connection
from tests.factories import EnvironmentFactory, OrganizationFactory
from tests.marketplace.catalogue_rows import a_person

from .platform_rows import NOW, platform_history, platform_tree
from .platform_rows import platform_repository as opened

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def environment(sovereign: Sovereign, organization: Organization, catalyst_home: Any) -> Environment:
    return EnvironmentFactory.create(organization=organization)


def subjects() -> list[str]:
    return [commit.message.splitlines()[0] for commit in platform_history()]


def quota(name: str = "acme-prod") -> Any:
    return yaml.load(platform_tree()[f"environments/{name}/host/quota.yaml"])["spec"]["hard"]["requests.memory"]


def test_writes_an_environment_once_as_the_platform(environment: Environment) -> None:
    sha = sync_environment(environment, now=NOW)

    (commit,) = platform_history()
    us = Person("Catalyst", "catalyst@cloud.example.om")
    assert (commit.sha, commit.message, commit.author, commit.committer) == (sha, "add acme-prod\n", us, us)
    assert commit.when == NOW.replace(microsecond=0)
    assert all(PLATFORM_PATHS.fullmatch(path) for path in platform_tree())


def test_equal_rows_make_no_commit(environment: Environment) -> None:
    sync_environment(environment, now=NOW)

    assert sync_environment(environment, now=NOW) == ""
    sweep_platform_task()

    assert subjects() == ["add acme-prod"]


def test_a_new_environment_is_written_when_its_event_arrives(
    sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any
) -> None:
    create_environment(organization=organization, env_type="stg", actor=org_admin, now=NOW)
    assert subjects() == []

    deliver("marketplace.add_platform_objects")

    assert subjects() == ["add acme-stg"]


def test_a_larger_plan_is_a_larger_quota_in_one_commit(
    sovereign: Sovereign, organization: Organization, org_admin: User, environment: Environment
) -> None:
    shop = open_shop(sovereign, organization, org_admin)
    stock(shop)
    subscription = subscribe(shop)
    deliver("marketplace.sync_paid_quota")
    assert (quota(), subjects()) == ("8192Mi", ["add acme-prod"])

    change(shop, subscription, ChangeSelection(plan="l"))
    deliver("marketplace.sync_paid_quota")
    deliver("marketplace.sync_changed_quota")

    assert (quota(), subjects()) == ("16384Mi", ["add acme-prod", "change acme-prod: limits.yaml, quota.yaml"])
    assert Subscription.objects.get().plan == "l"


def test_without_a_plan_nothing_new_starts(environment: Environment) -> None:
    assert quota_of(environment) == OVERHEAD

    sync_environment(environment, now=NOW)

    assert quota() == "500Mi"


def test_a_policy_is_written_when_it_is_saved(environment: Environment, org_admin: User) -> None:
    EnvironmentFactory.create(organization=environment.organization, env_type="stg")
    sync_environment(environment, now=NOW)
    assert "environments/acme-prod/policy.yaml" not in platform_tree()
    rules = [{"kind": "soak", "sourceEnvironment": "acme-stg", "duration": "72h"}]

    save_policy(environment=environment, rules=rules, actor=a_person(staff_role="sovereign-admin"), now=NOW)
    deliver("marketplace.sync_policy")

    written = yaml.load(platform_tree()["environments/acme-prod/policy.yaml"])
    assert written["spec"]["rules"] == rules
    assert subjects() == ["add acme-prod", "change acme-prod: policy.yaml"]


def test_the_last_word_of_an_environment_takes_its_folder_and_nobody_elses(environment: Environment) -> None:
    neighbor = EnvironmentFactory.create(organization=OrganizationFactory.create(slug="acme-co"))
    sync_environment(neighbor, now=NOW)
    before = platform_tree()
    sync_environment(environment, now=NOW)

    sync_environment(environment, now=NOW, gone=True)

    assert platform_tree() == before
    assert subjects() == ["add acme-co-prod", "add acme-prod", "remove acme-prod"]
    assert sync_environment(environment, now=NOW, gone=True) == ""


def test_what_is_being_deleted_stays_until_it_is_gone(environment: Environment) -> None:
    sync_environment(environment, now=NOW)
    before = platform_tree()
    Environment.objects.filter(pk=environment.pk).update(status=Environment.Status.DELETING)

    sync_platform(now=NOW)
    assert platform_tree() == before

    sync_environment(environment, now=NOW, gone=True)
    sync_platform(now=NOW)
    assert list(platform_tree()) == ["README.md"]


def test_the_sweep_takes_away_what_a_row_says_is_deleted(environment: Environment) -> None:
    sync_environment(environment, now=NOW)
    Environment.objects.filter(pk=environment.pk).update(status=Environment.Status.DELETED, deleted_at=NOW)

    assert sync_platform(now=NOW) == 1

    assert list(platform_tree()) == ["README.md"]


def test_an_old_idea_of_a_deleted_environment_brings_nothing_back(environment: Environment) -> None:
    old = Environment.objects.get(pk=environment.pk)
    sync_environment(old, now=NOW)
    Environment.objects.filter(pk=environment.pk).update(status=Environment.Status.DELETED, deleted_at=NOW)

    sync_environment(old, now=NOW)

    assert list(platform_tree()) == ["README.md"]


def test_rows_that_are_not_found_remove_nothing(environment: Environment) -> None:
    sync_environment(environment, now=NOW)
    before = platform_tree()
    with owner_connection() as owner:
        owner.execute("SET session_replication_role = replica")
        owner.execute("DELETE FROM tenancy_environment")

    assert sync_platform(now=NOW) == 0

    assert platform_tree() == before
    assert Incident.objects.get(kind="platform_unknown_environment").subject == "acme-prod"


def test_a_name_that_is_used_again_keeps_its_folder(environment: Environment) -> None:
    Environment.objects.filter(pk=environment.pk).update(status=Environment.Status.DELETED, deleted_at=NOW)
    again = EnvironmentFactory.create(organization=environment.organization)
    sync_environment(again, now=NOW)

    assert sync_environment(environment, now=NOW, gone=True) == ""

    assert subjects() == ["add acme-prod"]


def test_one_that_cannot_be_rendered_stops_only_itself(environment: Environment) -> None:
    # Nobody can ask for this slug any more; a row from before would be in a namespace of the platform.
    broken = EnvironmentFactory.create(organization=OrganizationFactory.create(slug="cert-manager"))

    assert sync_platform(now=NOW) == 1

    assert subjects() == ["add acme-prod"]
    assert Incident.objects.get(kind="platform_refused").subject == broken.name


def test_a_foreign_commit_stops_writing_until_it_is_cleared(environment: Environment) -> None:
    ours = sync_environment(environment, now=NOW)
    us = Person("Catalyst", "catalyst@cloud.example.om")  # a name proves nothing
    foreign = opened().write_commit(
        ours, {"README.md": b"?"}, allowed=PLATFORM_PATHS, author=us, committer=us, message="add acme-prod\n", when=NOW
    )
    opened().update_branch(ours, foreign)

    with pytest.raises(PlatformForeignCommit):
        sync_environment(environment, now=NOW)
    follow_platform(payload={"environment_id": environment.pk}, now=NOW)

    assert opened().head() == foreign
    incident = Incident.objects.get(kind="platform_foreign_commit")
    assert (incident.detail, incident.resolved_at) == (foreign, None)

    opened().update_branch(foreign, ours)
    assert sync_environment(environment, now=NOW) == ""
    assert Incident.objects.get(kind="platform_foreign_commit").resolved_at is not None


def test_each_commit_is_in_the_log(environment: Environment) -> None:
    sha = sync_environment(environment, now=NOW)

    event = Outbox.objects.get(topic="platform.commit_recorded")
    assert event.stream == "sovereign"
    assert event.payload == {
        "repository": platform_repository.NAME,
        "commit": sha,
        "environment": "acme-prod",
    }


def test_facts_come_from_the_rows(environment: Environment) -> None:
    facts = platform_facts(environment)

    assert facts.environment.host_cluster == "hz-fsn-rtz-prod"
    assert (facts.environment.vcluster, facts.rules, facts.capacity) == ("acme", None, OVERHEAD)
    assert facts == replace(facts)
