"""A Git server's webhook: signed, stored once, and a reason to look; nothing that it says is believed."""

import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from catalyst.core.models import Outbox
from marketplace.models import ClusterLook, GitHint
from tenancy.models import Environment, Organization, Sovereign, User
from tenancy.services.environments import environment_flux_key
from tests.marketplace.deliver_rows import Desk, open_desk

pytestmark = pytest.mark.django_db(transaction=True)

BODY = json.dumps({"ref": "refs/heads/main", "after": "b" * 40}).encode()


@pytest.fixture
def environment(sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any) -> Environment:
    desk: Desk = open_desk(organization, org_admin)
    desk.deliver(now=timezone.now())
    return desk.environment()


def post(
    environment: Environment, body: bytes = BODY, *, header: str = "X-Signature", key: str = "", uuid: Any = ""
) -> int:
    signature = hmac.new((key or environment_flux_key(environment)).encode(), body, hashlib.sha256).hexdigest()
    address = f"/webhooks/git/{uuid or environment.uuid}/"
    headers = {header: f"sha256={signature}"}
    return Client().post(address, body, content_type="application/json", headers=headers).status_code


@pytest.mark.parametrize("header", ["X-Signature", "X-Hub-Signature-256"])
def test_a_push_is_a_reason_to_look(environment: Environment, header: str) -> None:
    seen = timezone.now() - timedelta(minutes=1)
    later = timezone.now() + timedelta(seconds=30)
    ClusterLook.objects.create(environment=environment, seen_at=seen, next_look_at=later)
    events = Outbox.objects.count()

    assert post(environment, header=header) == 202

    assert GitHint.objects.get().commit == "b" * 40
    assert ClusterLook.objects.get().next_look_at == seen + timedelta(seconds=5)
    environment.refresh_from_db()
    assert environment.head_commit != "b" * 40
    assert Outbox.objects.count() == events
    assert post(environment, header=header) == 202  # the same again
    assert GitHint.objects.count() == 1


def test_forged_and_foreign_messages_are_refused_alike(environment: Environment) -> None:
    nobody = "6c0e2a52-7b43-4b73-a7a2-8b3b6b2ab2f4"
    assert post(environment, key="wrong") == post(environment, uuid=nobody) == 401
    assert GitHint.objects.count() == 0


@pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b'{"after": 7}', b'{"after": "main"}', b"[" * 100_000])
def test_what_is_no_message_is_still_only_a_hint(environment: Environment, body: bytes) -> None:
    assert post(environment, body) == 202
    assert GitHint.objects.get().commit == ""


def test_too_much_is_refused(environment: Environment, settings: Any) -> None:
    settings.WEBHOOK_MAX_BYTES = 100
    assert post(environment, b"x" * 101) == 413
    assert GitHint.objects.count() == 0
