"""Staff try a failed Change again from its list, after a question; nobody else does."""

from datetime import timedelta
from typing import Any

import pytest
from django.http import HttpResponseBase
from django.test import Client
from django.urls import reverse

from marketplace.models import Change
from marketplace.services import changes
from marketplace.services.delivery import InstallationNotPlanned
from tenancy.models import AuditEntry, Organization, Sovereign, User
from tests.marketplace.catalogue_rows import a_person
from tests.marketplace.deliver_rows import NOW, Desk, open_desk

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "admin:marketplace_change_changelist"


@pytest.fixture
def desk(sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any) -> Desk:
    return open_desk(organization, org_admin)


def signed_in(role: str) -> Client:
    client = Client(HTTP_ACCEPT_LANGUAGE="en")
    client.force_login(a_person(staff_role=role))
    return client


def try_again(client: Client, change: Change, **sent: str) -> HttpResponseBase:
    data = {"action": "try_again", "_selected_action": [str(change.pk)], **sent}
    answer: HttpResponseBase = client.post(reverse(LIST), data, follow=True)
    return answer


def failed(change: Change) -> Change:
    assert changes.fail_change(change_id=change.pk, reason="no space left", now=NOW)
    change.refresh_from_db()
    return change


def retries() -> list[tuple[str, str]]:
    return list(AuditEntry.objects.filter(action="change.retried").values_list("actor", "target"))


@pytest.mark.parametrize("role", [User.StaffRole.ADMIN, User.StaffRole.SUPPORT])
def test_a_failed_change_is_tried_again_after_a_question(desk: Desk, role: str) -> None:
    change = failed(desk.deliver())
    client = signed_in(role)

    asked: Any = try_again(client, change)
    change.refresh_from_db()
    assert b"Try these changes again?" in asked.content
    assert (change.state, retries()) == ("failed", [])

    answer: Any = try_again(client, change, confirmed="yes")

    change.refresh_from_db()
    assert (change.state, change.status_reason, change.attempts) == ("reconciling", "", 0)
    assert change.deadline_at is not None
    assert change.deadline_at > NOW + timedelta(minutes=30)
    assert retries() == [(f"user:{User.objects.get(staff_role=role).uuid}", f"change:{change.pk}")]
    assert [str(each) for each in answer.context["messages"]] == [f"{change} is tried again."]


def test_a_change_that_has_not_failed_is_left_alone(desk: Desk) -> None:
    change = desk.deliver()

    answer: Any = try_again(signed_in(User.StaffRole.ADMIN), change, confirmed="yes")

    words = f"{change}: Only a failed change can be tried again."
    assert [str(each) for each in answer.context["messages"]] == [words]
    assert (Change.objects.get().state, Change.objects.get().deadline_at) == (change.state, change.deadline_at)
    assert retries() == []


def test_an_installation_that_was_never_planned_is_not_tried_again(desk: Desk) -> None:
    # What its order asks for cannot be: nothing was planned, hence nothing could be committed.
    with pytest.raises(InstallationNotPlanned):
        desk.deliver(desk.order("OMN-2026-000001", "bp-nothing-like-it"))
    change = Change.objects.get()
    assert (change.state, change.commit) == ("failed", "")

    answer: Any = try_again(signed_in(User.StaffRole.ADMIN), change, confirmed="yes")

    words = f"{change}: This installation was never planned. Replay the event of its order instead."
    assert [str(each) for each in answer.context["messages"]] == [words]
    assert Change.objects.get().state == "failed"
    assert retries() == []


def test_nobody_else_does(desk: Desk) -> None:
    change = failed(desk.deliver())
    client = signed_in(User.StaffRole.NONE)

    try_again(client, change, confirmed="yes")

    assert client.get(reverse(LIST)).status_code in {302, 403}
    assert Change.objects.get().state == "failed"
    assert retries() == []
