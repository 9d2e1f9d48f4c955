"""Flux's notifications are stored when they are signed with the Environment's key, and once each."""

import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from marketplace.models import FluxMessage
from tenancy.models import Environment
from tests.factories import EnvironmentFactory
from tests.marketplace.flux_words import event, post

pytestmark = pytest.mark.django_db

SHA = "a" * 40


@pytest.fixture
def environment(organization: Any) -> Environment:
    return EnvironmentFactory.create(organization=organization)


def body_of(environment: Environment, **changes: Any) -> bytes:
    return json.dumps(event(environment, "wordpress", SHA, **changes)).encode()


@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_stores_what_is_signed(environment: Environment, digest: str) -> None:
    answer = post(environment, body_of(environment), digest=digest)

    message = FluxMessage.objects.get()
    assert (answer.status_code, message.state, message.environment_id) == (202, "pending", environment.pk)
    assert message.payload == {
        "kind": "Kustomization",
        "namespace": "env-acme-prod",
        "name": "wordpress",
        "revision": f"main@sha1:{SHA}",
        "severity": "info",
        "reason": "ReconciliationSucceeded",
        "message": "Reconciliation finished",
    }


def test_reads_the_revision_as_flux_shortens_it(environment: Environment) -> None:
    post(environment, body_of(environment, metadata={"revision": f"main@sha1:{SHA}"}))

    assert FluxMessage.objects.get().payload["revision"] == f"main@sha1:{SHA}"


def test_a_second_copy_is_accepted_and_not_stored(environment: Environment) -> None:
    body = body_of(environment)

    assert [post(environment, body).status_code for _ in range(3)] == [202, 202, 202]
    assert FluxMessage.objects.count() == 1


def test_a_wrong_signature_and_an_unknown_environment_look_the_same(environment: Environment) -> None:
    other = EnvironmentFactory.create(organization=environment.organization, env_type="dev")
    body = body_of(environment)

    forged = post(environment, body, key="0" * 64)
    foreign = post(other, body, uuid=environment.uuid)
    unknown = post(environment, body, uuid=uuid4())

    assert [answer.status_code for answer in (forged, foreign, unknown)] == [401, 401, 401]
    assert forged.content == foreign.content == unknown.content
    assert FluxMessage.objects.count() == 0


@pytest.mark.parametrize("signature", ["", "sha256=", "md5=00", "sha1=00", "é=é", "sha256=Ä", "00"])
def test_a_signature_of_another_kind_is_none(environment: Environment, signature: str) -> None:
    answer = Client().post(
        f"/webhooks/flux/{environment.uuid}/",
        body_of(environment),
        content_type="application/json",
        HTTP_X_SIGNATURE=signature,
    )

    assert (answer.status_code, FluxMessage.objects.count()) == (401, 0)


@pytest.mark.parametrize("minutes", [-16, 16])
def test_an_event_of_another_time_is_refused(environment: Environment, minutes: int) -> None:
    moment = timezone.now() + timedelta(minutes=minutes)

    answer = post(environment, body_of(environment, timestamp=moment.isoformat()))

    assert (answer.status_code, answer.json()["code"]) == (400, "event_too_old")
    assert FluxMessage.objects.count() == 0


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"x"', b"\xff", b"[" * 20_000, b"{}", b'{"involvedObject": 1}', b'{"involvedObject": {}}'],
)
def test_a_signed_body_that_is_no_event_is_refused(environment: Environment, body: bytes) -> None:
    answer = post(environment, body)

    assert (answer.status_code, answer.json()["code"]) == (400, "event_invalid")
    assert FluxMessage.objects.count() == 0


def test_text_that_no_column_can_hold_does_no_harm(environment: Environment) -> None:
    answer = post(environment, body_of(environment, message="a\u0000b\ud800", reason=["x"], severity=None))

    assert answer.status_code == 202
    assert FluxMessage.objects.get().payload["message"] == "ab?"


def test_a_body_that_is_too_large_is_refused(environment: Environment, settings: Any) -> None:
    settings.WEBHOOK_MAX_BYTES = 1000

    answer = post(environment, body_of(environment, message="x" * 1000))

    assert (answer.status_code, FluxMessage.objects.count()) == (413, 0)
