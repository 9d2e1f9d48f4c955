"""The policy and the approvals over the API: who may, what is answered, what is refused."""

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from catalyst.core.models import Outbox
from marketplace.models import ChangeApproval, EnvironmentPolicy
from tenancy.models import AuditEntry, Environment, Organization, Sovereign, User
from tests.factories import UserFactory
from tests.marketplace.policy_rows import APPROVALS, SOAK, WINDOW, environment_of, member, rule_by, waiting_change

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = "/api/v1/organizations/acme/environments/prod"
POLICY = f"{ROOT}/policy/"


@pytest.fixture
def prod(sovereign: Sovereign, organization: Organization) -> Environment:
    return environment_of(organization)


@pytest.fixture
def provider(db: None) -> User:
    user: User = UserFactory.create(staff_role="sovereign-admin")
    return user


def put(client: APIClient, **said: Any) -> Any:
    return client.put(POLICY, said, format="json")


def test_the_provider_sets_the_rules(
    prod: Environment, provider: User, org_admin: User, api_as: Callable[..., APIClient]
) -> None:
    environment_of(prod.organization, "stg")
    rules = [APPROVALS, SOAK, WINDOW]

    answer = put(api_as(provider), rules=rules, version=0)

    assert (answer.status_code, answer.json()["version"], answer.json()["rules"]) == (200, 1, rules)
    read = api_as(org_admin).get(POLICY).json()
    assert (read["rules"], read["environment"], read["may_edit"]) == (rules, "acme-prod", False)
    entry = AuditEntry.objects.get(action="environment_policy.saved")
    assert (entry.actor, entry.detail["before"], entry.detail["after"]["rules"]) == (
        f"user:{provider.uuid}",
        None,
        rules,
    )
    event = Outbox.objects.get(topic="policy.changed")
    assert (event.payload["environment_id"], event.payload["version"]) == (prod.pk, 1)


def test_the_same_rules_again_change_nothing(
    prod: Environment, provider: User, api_as: Callable[..., APIClient]
) -> None:
    client = api_as(provider)
    put(client, rules=[APPROVALS])

    answer = put(client, rules=[APPROVALS])

    assert (answer.status_code, answer.json()["version"]) == (200, 1)
    assert AuditEntry.objects.filter(action="environment_policy.saved").count() == 1
    assert Outbox.objects.filter(topic="policy.changed").count() == 1


def test_an_administrator_edits_what_is_delegated(
    prod: Environment, provider: User, org_admin: User, api_as: Callable[..., APIClient]
) -> None:
    mine = api_as(org_admin)
    assert put(mine, rules=[]).status_code == 403
    put(api_as(provider), rules=[APPROVALS], is_delegated=True)

    answer = put(mine, rules=[WINDOW], version=1)
    assert (answer.status_code, answer.json()["version"], answer.json()["may_edit"]) == (200, 2, True)

    kept = put(mine, rules=[], is_delegated=False)
    assert (kept.status_code, kept.json()["errors"][0]["pointer"]) == (403, "/is_delegated")
    assert EnvironmentPolicy.objects.get().rules == [WINDOW]


@pytest.mark.parametrize("role", ["org-viewer", "org-developer", "security-officer", "billing-admin"])
def test_a_member_without_the_right_reads_only(
    role: str, prod: Environment, provider: User, organization: Organization, api_as: Callable[..., APIClient]
) -> None:
    put(api_as(provider), rules=[APPROVALS], is_delegated=True)
    client = api_as(member(organization, role))

    assert client.get(POLICY).status_code == 200
    assert put(client, rules=[]).status_code == 403
    assert EnvironmentPolicy.objects.get().version == 1


def test_a_stranger_finds_nothing(prod: Environment, stranger: User, api_as: Callable[..., APIClient]) -> None:
    client = api_as(stranger)

    assert client.get(POLICY).status_code == 404
    assert put(client, rules=[]).status_code == 404


def test_a_refused_rule_says_where_and_changes_nothing(
    prod: Environment, provider: User, api_as: Callable[..., APIClient]
) -> None:
    environment_of(environment_of_other(), "stg")
    foreign = {**SOAK, "sourceEnvironment": "initech-stg"}

    answer = put(api_as(provider), rules=[APPROVALS, foreign])

    assert (answer.status_code, answer.json()["code"]) == (422, "policy_rule_refused")
    assert answer.json()["errors"][0]["pointer"] == "/rules/1/sourceEnvironment"
    assert not EnvironmentPolicy.objects.exists()
    assert not AuditEntry.objects.filter(action="environment_policy.saved").exists()


def environment_of_other() -> Organization:
    return Organization.objects.create(slug="initech", name="Initech")


def test_an_older_version_is_refused(prod: Environment, provider: User, api_as: Callable[..., APIClient]) -> None:
    client = api_as(provider)
    put(client, rules=[APPROVALS], version=0)

    answer = put(client, rules=[WINDOW], version=0)

    assert (answer.status_code, answer.json()["code"], answer.json()["version"]) == (409, "policy_changed", 1)
    assert EnvironmentPolicy.objects.get().rules == [APPROVALS]


def test_new_rules_are_shown_against_what_waits_and_then_hold_for_it(
    prod: Environment, provider: User, org_admin: User, api_as: Callable[..., APIClient]
) -> None:
    rule_by(prod, APPROVALS, by=org_admin)
    change = waiting_change(prod, org_admin, gates=[])
    client = api_as(provider)

    shown = put(client, rules=[{**APPROVALS, "minApprovals": 1}], is_preview=True).json()

    assert [(each["change"], each["after"][0]["missing"]) for each in shown["affected"]] == [(str(change.pk), 1)]
    assert (shown["version"], EnvironmentPolicy.objects.get().rules) == (1, [APPROVALS])
    before = change.next_action_at
    put(client, rules=[])
    change.refresh_from_db()
    assert change.next_action_at >= before


def test_approvals_are_given_and_shown(
    prod: Environment, organization: Organization, org_admin: User, api_as: Callable[..., APIClient]
) -> None:
    officer, viewer = member(organization, "security-officer"), member(organization, "org-viewer")
    rule_by(prod, APPROVALS, by=org_admin)
    change = waiting_change(prod, member(organization, "org-developer"))
    url = f"{ROOT}/changes/{change.pk}/approvals/"

    answer = api_as(officer).post(url, {"preview": change.preview_id}, format="json")

    assert answer.status_code == 201
    assert [(each["approver"], each["role"]) for each in answer.json()["approvals"]] == [
        (officer.display_name, "security-officer")
    ]
    seen = api_as(viewer).get(url).json()
    assert (seen["state"], seen["gates"][0]["outcome"], seen["gates"][0]["missing"]) == ("awaiting_gates", "needs", 1)


def test_approvals_are_refused(
    prod: Environment, organization: Organization, org_admin: User, stranger: User, api_as: Callable[..., APIClient]
) -> None:
    rule_by(prod, APPROVALS, by=org_admin)
    change = waiting_change(prod, org_admin)
    url, said = f"{ROOT}/changes/{change.pk}/approvals/", {"preview": change.preview_id}
    elsewhere = member(organization, "security-officer", env_types=["stg"])

    def ask(user: User, body: Any = said) -> tuple[int, str]:
        answer = api_as(user).post(url, body, format="json")
        return answer.status_code, answer.json()["code"]

    assert ask(stranger) == (404, "not_found")
    assert ask(elsewhere) == (404, "not_found")
    assert ask(member(organization, "org-viewer")) == (403, "permission_denied")
    assert ask(member(organization, "org-developer")) == (403, "not_an_approver")
    assert ask(org_admin) == (403, "own_change")
    assert ask(member(organization, "security-officer"), {"preview": "0" * 64}) == (409, "preview_replaced")
    assert api_as(stranger).get(url).status_code == 404
    assert not ChangeApproval.objects.exists()
