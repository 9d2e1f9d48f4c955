"""Live streams over a real web server: who may listen, where a reader goes on, when a stream ends."""

import http.client
import json
import threading
import time
from datetime import timedelta
from typing import Any

import pytest
import uvicorn
from django.conf import settings
from django.db import transaction
from django.test import Client
from django.utils import timezone

from catalyst.asgi import application
from catalyst.core import outbox
from catalyst.core.http import heartbeat, stream_log, stream_slots, streams, wakeups
from catalyst.core.http.stream_log import StreamAccess, StreamLog, StreamQuery
from catalyst.core.models import Outbox
from catalyst.core.projections import run_projectors
from tenancy.models import Membership
from tenancy.services.tokens import issue_token
from tests.conftest import owner_connection
from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def port() -> Any:
    server = uvicorn.Server(uvicorn.Config(application, port=0, lifespan="off", log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = server.force_exit = True
    thread.join(10)


@pytest.fixture
def listen(port: Any) -> Any:
    """Open a stream; return the answer, whose lines are read one by one."""
    connections = []

    def _listen(path: Any = "/events/organizations/acme/", **headers: Any) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connections.append(connection)
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        return connection.getresponse()

    yield _listen
    for connection in connections:
        connection.close()
    time.sleep(0.2)  # the server sees that we are gone, and gives the slot back


def _bearer(user: Any, **limits: Any) -> Any:
    return f"Bearer {issue_token(user=user, actor='test', now=timezone.now(), **limits)[1]}"


def _publish(organization: Any, number: Any, **payload: Any) -> None:
    with transaction.atomic():
        stream = f"organization:{organization.pk}"
        outbox.publish(topic="application.ready", key=f"{stream}:{number}", stream=stream, payload=payload)
    outbox.relay_once()
    run_projectors()
    wakeups.ring(number)


def _frame(response: Any) -> Any:
    """Read one frame: its fields by name."""
    fields = {}
    while line := response.readline().decode().rstrip("\n"):
        name, _, value = line.partition(": ")
        fields[name] = value
    return fields


def test_begins_with_its_place_and_tails(listen: Any, organization: Any, org_admin: Any) -> None:
    _publish(organization, 1, status="old")
    response = listen(Authorization=_bearer(org_admin))

    assert (response.status, response.headers["Content-Type"]) == (200, "text/event-stream; charset=utf-8")
    assert response.headers["Cache-Control"] == "no-store"
    assert _frame(response) == {"retry": "2000", "id": "1"}
    _publish(organization, 2, environment="acme-prod", application="shop", status="ready", secret="x")
    frame = _frame(response)
    assert frame["id"] == "2"
    data = json.loads(frame["data"])
    assert data.pop("at")
    assert data == {
        "type": "application.ready",
        "environment": "acme-prod",
        "application": "shop",
        "status": "ready",
    }


def test_hears_within_a_second_of_the_event(listen: Any, organization: Any, org_admin: Any) -> None:
    response = listen(Authorization=_bearer(org_admin))
    _frame(response)
    time.sleep(0.3)

    started = time.monotonic()
    _publish(organization, 1, status="ready")
    _frame(response)

    assert time.monotonic() - started < 1.0


@pytest.mark.parametrize("how", ["header", "argument"])
def test_goes_on_after_the_last_event_that_was_seen(how: Any, listen: Any, organization: Any, org_admin: Any) -> None:
    for number in (1, 2, 3):
        _publish(organization, number, status=f"s{number}")
    bearer = _bearer(org_admin)

    if how == "header":
        response = listen(Authorization=bearer, Last_Event_ID="1")
    else:
        response = listen("/events/organizations/acme/?after=1", Authorization=bearer)

    frames = [_frame(response) for _ in range(3)]
    assert [frame["id"] for frame in frames] == ["1", "2", "3"]
    assert json.loads(frames[1]["data"])["status"] == "s2"


def test_a_reader_older_than_a_day_starts_afresh(listen: Any, organization: Any, org_admin: Any) -> None:
    for number in (1, 2):
        _publish(organization, number, status="ready")
    with owner_connection() as owner:
        owner.execute("SET session_replication_role = replica")
        owner.execute("UPDATE core_outbox SET sent_at = %s WHERE sequence = 2", [timezone.now() - timedelta(hours=25)])

    response = listen(Authorization=_bearer(org_admin), Last_Event_ID="1")

    assert _frame(response) == {"retry": "2000", "id": "2", "event": "reset", "data": "{}"}


def test_shows_nothing_of_another_organization(listen: Any, organization: Any, org_admin: Any, stranger: Any) -> None:
    other = stranger.memberships.get().organization
    response = listen(Authorization=_bearer(org_admin), Last_Event_ID="0")
    _frame(response)

    _publish(other, 1, status="theirs")
    _publish(organization, 2, status="ours")

    assert json.loads(_frame(response)["data"])["status"] == "ours"


def test_shows_nothing_of_environments_outside_the_scope(listen: Any, organization: Any) -> None:
    user = MembershipFactory.create(organization=organization, role="org-developer", env_types=["dev"]).user
    for number, env_type in enumerate(("prod", "dev"), start=1):
        _publish(organization, number, environment=f"acme-{env_type}", status="ready")

    response = listen(Authorization=_bearer(user), Last_Event_ID="0")
    _frame(response)

    frame = _frame(response)
    assert (frame["id"], json.loads(frame["data"])["environment"]) == ("2", "acme-dev")


def test_a_stranger_gets_the_answer_of_a_missing_one(listen: Any, organization: Any, stranger: Any) -> None:
    bearer = _bearer(stranger)

    foreign, missing = listen(Authorization=bearer), listen("/events/organizations/nowhere/", Authorization=bearer)

    assert foreign.status == missing.status == 404
    assert foreign.read() == missing.read()
    assert foreign.headers["Content-Type"] == "application/problem+json"


def test_nobody_is_refused(listen: Any, organization: Any) -> None:
    response = listen()

    assert (response.status, json.loads(response.read())["code"]) == (401, "not_authenticated")
    assert listen(Authorization="Bearer cat_wrong").status == 401
    assert listen(Cookie="sessionid=wrong").status == 401


def test_a_session_opens_it(listen: Any, organization: Any, org_admin: Any) -> None:
    client = Client()
    client.force_login(org_admin)
    cookie = f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"

    response = listen(Cookie=cookie)

    assert response.status == 200


def test_a_person_has_four_at_most(listen: Any, organization: Any, org_admin: Any) -> None:
    bearer = _bearer(org_admin)
    opened = [listen(Authorization=bearer).status for _ in range(stream_slots.LIMIT)]

    fifth = listen(Authorization=bearer)

    assert opened == [200] * 4
    assert (fifth.status, json.loads(fifth.read())["code"], fifth.headers["Retry-After"]) == (
        429,
        "too_many_streams",
        "10",
    )


def test_ends_when_the_membership_ends(listen: Any, organization: Any, org_admin: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(streams, "_RECHECK_SECONDS", 0.3)
    monkeypatch.setattr(streams, "_HEARTBEAT_SECONDS", 0.1)
    response = listen(Authorization=_bearer(org_admin))
    _frame(response)

    Membership.objects.filter(user=org_admin).delete()

    started = time.monotonic()
    while line := response.readline():
        assert line in (b": still here\n", b"\n")
    assert time.monotonic() - started < 3


def test_a_registered_view_renders_the_event(listen: Any, organization: Any, org_admin: Any, monkeypatch: Any) -> Any:
    def render(access: Any, argument: Any, message: Any) -> Any:
        if message.payload["order"] != argument:
            return None
        return stream_log.ViewFrame(html="<b>\npaid</b>", is_done=True)

    monkeypatch.setattr(stream_log, "_views", {})
    streams.register_view("order", render)
    for number, order in enumerate(("OMN-1", "OMN-2"), start=1):
        _publish(organization, number, order=order)

    response = listen("/events/organizations/acme/?view=order:OMN-2&after=0", Authorization=_bearer(org_admin))
    _frame(response)

    assert [response.readline() for _ in range(4)] == [
        b"id: 2\n",
        b"event: done\n",
        b"data: <b>\n",
        b"data: paid</b>\n",
    ]


def test_works_while_redis_is_down(listen: Any, organization: Any, org_admin: Any, settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    heartbeat.client.cache_clear()
    response = listen(Authorization=_bearer(org_admin))
    _frame(response)

    _publish(organization, 1, status="ready")

    assert _frame(response)["id"] == "1"
    heartbeat.client.cache_clear()


def test_the_same_server_answers_pages(port: Any) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", "/healthz")

    assert connection.getresponse().status == 200
    connection.close()
    assert Outbox.objects.count() == 0


def test_waits_until_the_event_is_folded(organization: Any, org_admin: Any, listen: Any) -> None:
    """A view is drawn from read tables: an event shown before they know it would show the state before it, for good."""
    _publish(organization, 1)
    response = listen(Authorization=_bearer(org_admin))
    assert _frame(response)["id"] == "1"
    with transaction.atomic():
        stream = f"organization:{organization.pk}"
        outbox.publish(topic="application.ready", key="late", stream=stream, payload={"status": "ready"})
    outbox.relay_once()
    wakeups.ring(2)

    assert StreamLog(StreamAccess(stream, 1, "en", None), StreamQuery(b"", "", 1, "")).read() == ""

    run_projectors()
    wakeups.ring(2)
    assert _frame(response)["id"] == "2"


def test_a_page_is_told_to_look_at_what_concerns_it(organization: Any, org_admin: Any) -> None:
    _publish(organization, 1, environment="acme-prod", application="shop", status="ready")
    _publish(organization, 2, environment="acme-dev", application="shop", status="ready")
    access = StreamAccess(f"organization:{organization.pk}", org_admin.pk, "en", None)

    def frames(view: str) -> str:
        log = StreamLog(access, StreamQuery(b"", "", 0, view))
        log.start()
        return log.read()

    assert frames("applications") == "id: 1\nevent: look\ndata: {}\n\nid: 2\nevent: look\ndata: {}\n\n"
    assert frames("applications:acme-prod") == "id: 1\nevent: look\ndata: {}\n\n"
    assert frames("billing") == frames("job:6c0e2a52-7b43-4b73-a7a2-8b3b6b2ab2f4") == "id: 2\n\n"
