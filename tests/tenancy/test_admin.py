"""The staff's pages: who opens them, what they can do there, and what nobody can."""

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.messages import get_messages
from django.test import Client
from django.utils import timezone

from catalyst.core import outbox
from catalyst.core.models import Delivery
from tenancy.admin import GuardedAdmin
from tenancy.models import ApiToken, AuditEntry, Sovereign, User
from tenancy.services.tokens import issue_token
from tests.factories import MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db

OURS = [(model, page) for model, page in admin.site._registry.items() if isinstance(page, GuardedAdmin)]


def _staff(role: Any = "sovereign-admin") -> Any:
    client: Any = Client()
    client.user = UserFactory.create(staff_role=role)
    client.force_login(client.user)
    return client


def _url(model: Any, page: Any = "changelist", *args: Any) -> Any:
    from django.urls import reverse

    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


@pytest.fixture(autouse=True)
def _whose(sovereign: Any) -> Any:
    return sovereign


@pytest.mark.parametrize("model", [model for model, _page in OURS], ids=lambda model: model._meta.label)
def test_every_list_opens_for_an_administrator(
    model: Any, organization: Any, org_admin: Any, django_assert_max_num_queries: Any
) -> None:
    client = _staff()

    with django_assert_max_num_queries(25):
        response = client.get(_url(model))

    assert response.status_code == 200


@pytest.mark.parametrize("page", [page for _model, page in OURS], ids=lambda page: page.model._meta.label)
def test_nothing_is_deleted(page: Any, rf: Any) -> None:
    request = rf.get("/")
    request.user = UserFactory.create(staff_role="sovereign-admin")

    assert not page.has_delete_permission(request)


def test_a_customer_is_no_staff(org_admin: Any) -> None:
    client = Client()
    client.force_login(org_admin)

    assert client.get("/admin/", follow=True).status_code == 403


def test_a_visitor_signs_in_like_everybody() -> None:
    response = Client().get("/admin/tenancy/user/", follow=True)

    assert response.redirect_chain[-1][0] == "/account/sign-in/?next=%2Fadmin%2Ftenancy%2Fuser%2F"
    assert b'type="password"' not in response.content


@pytest.mark.parametrize("wanted", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_the_way_back_stays_on_this_site(wanted: Any) -> None:
    response = Client().get("/admin/login/", {"next": wanted})

    assert response["Location"] == "/account/sign-in/?next=%2Fadmin%2F"


def test_an_agent_does_not_open_the_audit_trail() -> None:
    assert _staff("support-agent").get(_url(AuditEntry)).status_code == 403


def test_the_settings_are_changed_with_an_audit_row(sovereign: Any) -> None:
    client = _staff()
    form = {
        "name": "Muscat Cloud",
        "name_ar": "",
        "domain": "m.example",
        "languages": "en,ar",
        "time_zone": "Asia/Muscat",
    }

    response = client.post(
        _url(Sovereign, "change", 1),
        form | {"vat_percent": "5", "support_email": "", "branding": "{}", "currency": "USD"},
    )

    assert response.status_code == 302
    sovereign.refresh_from_db()
    assert (sovereign.name, sovereign.currency_id) == ("Muscat Cloud", "OMR")
    entry = AuditEntry.objects.get()
    assert (entry.stream, entry.actor, entry.action) == ("sovereign", f"user:{client.user.uuid}", "sovereign.changed")


def test_an_agent_does_not_change_the_settings(sovereign: Any) -> None:
    response = _staff("support-agent").post(_url(Sovereign, "change", 1), {"name": "Mine"})

    assert response.status_code == 403
    assert Sovereign.objects.get().name == "Oman Cloud"


def test_a_staff_role_is_given_by_an_action() -> None:
    client, person = _staff(), UserFactory.create()

    client.post(_url(User), {"action": "make_support_agent", "_selected_action": [person.pk]})

    person.refresh_from_db()
    assert person.staff_role == "support-agent"
    assert AuditEntry.objects.get().action == "staff.role_set"


def test_nobody_ends_their_own_staff_role() -> None:
    client = _staff()

    response = client.post(_url(User), {"action": "end_staff_role", "_selected_action": [client.user.pk]})

    assert ["Ask another administrator" in str(message) for message in get_messages(response.wsgi_request)] == [True]
    assert User.objects.get(pk=client.user.pk).staff_role == "sovereign-admin"


def test_an_agent_gives_no_staff_role() -> None:
    client, person = _staff("support-agent"), UserFactory.create()

    client.post(_url(User), {"action": "make_administrator", "_selected_action": [person.pk]})

    person.refresh_from_db()
    assert person.staff_role == ""


def test_a_token_is_revoked_by_an_action_and_never_shown() -> None:
    client, person = _staff(), MembershipFactory.create().user
    token, plaintext = issue_token(user=person, actor="test", now=timezone.now())

    page = client.get(_url(ApiToken, "change", token.pk)).content.decode()
    client.post(_url(ApiToken), {"action": "revoke", "_selected_action": [token.pk]})

    assert plaintext not in page
    assert ApiToken.objects.get().revoked_at is not None


def test_a_dead_letter_is_replayed_by_an_agent() -> None:
    outbox.subscribe("test.happened", name="test.consumer")(lambda message: None)
    try:
        outbox.publish(topic="test.happened", key="1", stream="", payload={})
        (delivery_id,) = outbox.relay_once()
    finally:
        del outbox._consumers["test.happened"]
    Delivery.objects.update(state="dead", attempts=8)

    _staff("support-agent").post(_url(Delivery), {"action": "replay", "_selected_action": [delivery_id]})

    assert Delivery.objects.values_list("state", "attempts").get() == ("pending", 0)
