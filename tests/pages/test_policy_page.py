"""The rules of an Environment and a Change that waits, in the console and for the Sovereign's staff."""

from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.urls import reverse

from billing.views import gates, policy
from marketplace.models import Change, ChangeApproval, EnvironmentPolicy
from tenancy.models import Environment, Organization, Sovereign, User
from tests.factories import UserFactory
from tests.marketplace.policy_rows import APPROVALS, SOAK, WINDOW, environment_of, member, rule_by, waiting_change

pytestmark = pytest.mark.django_db(transaction=True)

POLICY = "/console/acme/prod/policy/"
#: As the form sends two rules.
SENT = {
    "version": "0",
    "has_approvals": "on",
    "approvers": ["org-admin", "security-officer"],
    "approval_count": "2",
    "has_window": "on",
    "window_days": ["2", "4"],
    "window_time": "14:00",
    "window_number": "2",
    "window_unit": "h",
    "window_zone": "Asia/Muscat",
}
STORED: list[dict[str, Any]] = [{**APPROVALS, "approvers": ["org-admin", "security-officer"]}, WINDOW]


@pytest.fixture
def prod(sovereign: Sovereign, organization: Organization) -> Environment:
    return environment_of(organization)


@pytest.fixture
def delegated(prod: Environment, org_admin: User) -> EnvironmentPolicy:
    row = rule_by(prod, APPROVALS, WINDOW, by=org_admin)
    EnvironmentPolicy.objects.update(is_delegated=True)
    return row


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_members_read_the_rules_in_words(prod: Environment, org_admin: User, organization: Organization) -> None:
    assert "Changes of this Environment are made at once." in signed_in(org_admin).get(POLICY).content.decode()
    environment_of(organization, "stg")
    rule_by(prod, APPROVALS, SOAK, WINDOW, by=org_admin)

    page = signed_in(member(organization, "org-viewer")).get(POLICY).content.decode()

    assert "2 people other than the author have to approve. Who may: Security officer, Administrator." in page
    assert "What comes has to run in acme-stg for 72 hours first, ready without a break." in page
    assert "Changes are made on Tuesday, Thursday from 14:00 for 2 hours (Asia/Muscat). The next: " in page
    assert "The provider of this platform sets these rules." in page
    assert 'name="has_approvals"' not in page


def test_an_administrator_saves_what_is_delegated(delegated: EnvironmentPolicy, org_admin: User) -> None:
    client = signed_in(org_admin)
    page = client.get(POLICY).content.decode()
    assert 'name="window_time" value="14:00"' in page

    answer = client.post(POLICY, {**SENT, "version": "1", "approval_count": "1", "window_days": list("0123456")})

    assert (answer.status_code, answer["Location"]) == (303, POLICY)
    saved = EnvironmentPolicy.objects.get()
    assert saved.rules == [{**STORED[0], "minApprovals": 1}, {**WINDOW, "cron": "0 14 * * *"}]
    assert saved.version == 2


def test_new_rules_are_shown_first(delegated: EnvironmentPolicy, prod: Environment, org_admin: User) -> None:
    waiting_change(prod, org_admin)

    page = signed_in(org_admin).post(POLICY, {**SENT, "version": "1", "approval_count": "3", "preview": "yes"})

    assert "These waiting changes are judged otherwise by the new rules." in page.content.decode()
    assert EnvironmentPolicy.objects.get().version == 1


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"window_zone": "Mars"}, "Name a time zone of the IANA database"),
        ({"window_days": []}, "Write when it opens in five cron fields"),
        ({"window_time": "x"}, "Enter a time like 14:00."),
        ({"approvers": []}, "Name who approves"),
        ({"has_soak": "on", "soak_number": "3", "soak_unit": "d"}, "Name another Environment of this Organization."),
        ({"version": "0"}, "Somebody else changed this policy meanwhile."),
    ],
)
def test_what_is_wrong_stands_at_its_field(
    wrong: dict[str, Any], text: str, delegated: EnvironmentPolicy, org_admin: User
) -> None:
    answer = signed_in(org_admin).post(POLICY, {**SENT, "version": "1", **wrong})

    assert answer.status_code == 422
    assert text in answer.content.decode()
    assert EnvironmentPolicy.objects.get().version == 1


def test_who_may_not_cannot(prod: Environment, org_admin: User, stranger: User, organization: Organization) -> None:
    officer = member(organization, "security-officer")

    assert signed_in(stranger).get(POLICY).status_code == 404
    assert signed_in(stranger).post(POLICY, SENT).status_code == 404
    assert signed_in(officer).post(POLICY, SENT).status_code == 403
    assert signed_in(org_admin).post(POLICY, SENT).status_code == 403
    assert not EnvironmentPolicy.objects.exists()


def test_rules_that_cannot_be_read_are_said_to_be(
    delegated: EnvironmentPolicy, org_admin: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    EnvironmentPolicy.objects.update(rules=[{"kind": "score"}])
    assert "cannot be read, so nothing is changed" in signed_in(org_admin).get(POLICY).content.decode()

    def broken(*_arguments: Any) -> Any:
        raise OperationalError

    monkeypatch.setattr(policy, "get_policy", broken)
    answer = signed_in(org_admin).get(POLICY)
    assert answer.status_code == 503
    assert "They hold all the same." in answer.content.decode().replace("&#x27;", "'")


@pytest.fixture
def change(prod: Environment, organization: Organization, org_admin: User) -> Change:
    rule_by(prod, APPROVALS, by=org_admin)
    return waiting_change(prod, member(organization, "org-developer"), reason="<b>Because</b>")


def address(change: Change) -> str:
    return reverse("console-change-approve", args=["acme", "prod", change.pk])


def test_an_approver_says_yes(change: Change, organization: Organization) -> None:
    client = signed_in(member(organization, "security-officer"))
    page = client.get(address(change)).content.decode()
    assert "2 more approvals are needed." in page
    assert "&lt;b&gt;Because&lt;/b&gt;" in page

    answer = client.post(address(change), {"preview": change.preview_id})

    assert answer.status_code == 303
    assert ChangeApproval.objects.count() == 1
    page = client.get(address(change)).content.decode()
    assert "1 more approval is needed." in page
    assert ">Approve<" not in page


def test_an_emergency_is_declared_with_a_reason(change: Change, org_admin: User) -> None:
    client = signed_in(org_admin)
    said = {"preview": change.preview_id, "emergency": "yes"}

    assert client.post(address(change), said).status_code == 422
    assert client.post(address(change), {**said, "reason": "The shop is down."}).status_code == 303

    approval = ChangeApproval.objects.get()
    assert (approval.is_emergency, approval.reason) == (True, "The shop is down.")
    assert "The shop is down." in client.get(address(change)).content.decode()


def test_who_may_not_approve_cannot(
    change: Change, organization: Organization, stranger: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"preview": change.preview_id}
    author = change.author
    assert author is not None

    assert "You asked for this change yourself" in signed_in(author).get(address(change)).content.decode()
    assert signed_in(author).post(address(change), said).status_code == 403
    assert signed_in(member(organization, "org-viewer")).post(address(change), said).status_code == 403
    assert signed_in(member(organization, "billing-admin")).get(address(change)).status_code == 403
    assert signed_in(stranger).get(address(change)).status_code == 404
    assert signed_in(stranger).post(address(change), said).status_code == 404
    assert not ChangeApproval.objects.exists()

    def broken(*_arguments: Any, **_more: Any) -> Any:
        raise OperationalError

    monkeypatch.setattr(gates, "judge_change", broken)
    assert signed_in(author).get(address(change)).status_code == 503


def test_the_staff_sets_rules_by_the_same_service(prod: Environment, organization: Organization) -> None:
    client = signed_in(UserFactory.create(staff_role="sovereign-admin"))
    add = "/admin/marketplace/environmentpolicy/add/"
    assert "acme-prod" in client.get(add).content.decode()

    wrong = client.post(f"{add}?environment=acme-prod", {**SENT, "window_zone": "Mars"})
    assert (wrong.status_code, EnvironmentPolicy.objects.count()) == (422, 0)
    assert client.post(f"{add}?environment=acme-prod", {**SENT, "is_delegated": "on"}).status_code == 302

    saved = EnvironmentPolicy.objects.get()
    assert (saved.rules, saved.is_delegated, saved.version) == (STORED, True, 1)
    edit = f"/admin/marketplace/environmentpolicy/{saved.pk}/change/"
    assert 'name="is_delegated"' in client.get(edit).content.decode()
    assert client.post(edit, {"version": "1"}).status_code == 302
    saved.refresh_from_db()
    assert (saved.rules, saved.is_delegated, saved.version) == ([], False, 2)
    assert "acme-prod" in client.get("/admin/marketplace/environmentpolicy/").content.decode()


def test_a_support_agent_does_not_set_rules(prod: Environment) -> None:
    client = signed_in(UserFactory.create(staff_role="support-agent"))

    assert client.get("/admin/marketplace/environmentpolicy/add/").status_code == 403
    assert client.post("/admin/marketplace/environmentpolicy/add/?environment=acme-prod", SENT).status_code == 403
    assert not EnvironmentPolicy.objects.exists()
