"""What every database test shares: the application's role, checked constraints, a flush that append-only tables allow.

Deferred constraints of a rolled-back test are checked by Django itself, at the end of the test (``check_constraints``).
"""

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.test import TransactionTestCase
from django.utils import timezone, translation
from psycopg import sql
from pytest_django.plugin import DjangoDbBlocker
from rest_framework.test import APIClient

from catalyst.core import doorbell
from catalyst.core.invariants import check_invariants
from tenancy.models import Membership, Organization, Sovereign, User
from tenancy.services.tokens import issue_token
from tests import clock as movable_clock
from tests import factories
from tests.clock import MovableClock
from tests.secret_store import SandboxStore, running_store

#: Filled by migrations, so no test may empty them.
_REFERENCE_TABLES = (
    "core_currency",
    "billing_checkouttransition",
    "billing_subscriptiontransition",
    "django_migrations",
    "django_content_type",
    "auth_permission",
)


def owner_connection() -> psycopg.Connection[Any]:
    """Connect to the test database as its owner, past the application's role: for flushes, and for tampering."""
    database = connection.settings_dict
    return psycopg.connect(
        dbname=database["NAME"],
        host=database["HOST"],
        port=database["PORT"],
        user=database["USER"],
        password=database["PASSWORD"],
        autocommit=True,
    )


#: DELETE instead of TRUNCATE: on tables of a few rows it is many times quicker. A replica fires no trigger, so
#: append-only tables and foreign keys do not object.
_EMPTY = """
SET session_replication_role = replica;
DO $$
DECLARE
  item record;
BEGIN
  FOR item IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> ALL ({kept}) LOOP
    EXECUTE format('DELETE FROM %I', item.tablename);
  END LOOP;
  PERFORM setval(format('%I.%I', schemaname, sequencename), 1, false) FROM pg_sequences WHERE last_value IS NOT NULL;
END $$;
"""


#: The connection that empties tables, kept: a new one would have to learn all tables each time.
_flusher: list[psycopg.Connection[Any]] = []


def _empty(self: TransactionTestCase) -> None:
    if not _flusher:
        _flusher.append(owner_connection())
        _flusher[0].execute("SET lock_timeout = '10s'")
    _flusher[0].execute(sql.SQL(_EMPTY).format(kept=sql.Literal(list(_REFERENCE_TABLES))))


TransactionTestCase._fixture_teardown = _empty  # type: ignore[attr-defined]


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker of tests that damage the database on purpose."""
    config.addinivalue_line("markers", "breaks_invariants: the invariants are not checked after this test")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long stories, so that at the end no worker is left alone with one."""
    items.sort(key=lambda item: not any(map(item.get_closest_marker, ("timeout", "journey"))))


def pytest_collection_finish() -> None:
    """Spare the garbage collector what stays until the end: code, models and collected tests."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Migrate as the owner, then let every connection work with the application's rights."""
    options = connection.settings_dict["OPTIONS"]
    as_owner = options["options"]
    with owner_connection() as owner:
        movable_clock.install(owner)
    options["options"] = f"{as_owner} -c role=catalyst_app {movable_clock.SEARCH_PATH}"
    with django_db_blocker.unblock():
        connection.close()
    yield
    while _flusher:
        _flusher.pop().close()
    options["options"] = as_owner
    with django_db_blocker.unblock():
        connection.close()


@pytest.fixture(autouse=True)
def _invariants_hold(request: pytest.FixtureRequest) -> Iterator[None]:
    """Check the invariants after each test that touches the database, before its rows go."""
    database = next((name for name in ("transactional_db", "db") if name in request.fixturenames), None)
    if marker := request.node.get_closest_marker("django_db"):
        database = "transactional_db" if marker.kwargs.get("transaction") else database or "db"
    if database:
        request.getfixturevalue(database)
    yield
    if database and request.node.get_closest_marker("breaks_invariants") is None:
        assert [str(violation) for violation in check_invariants()] == []


@pytest.fixture(autouse=True)
def _in_english() -> None:
    """Begin in English, whatever language the request of an earlier test left behind."""
    translation.activate("en")


@pytest.fixture
def no_bell(monkeypatch: pytest.MonkeyPatch) -> None:
    """No doorbell rings: whatever happens, the sweeps find it."""
    monkeypatch.setattr(doorbell, "ring", lambda task, **arguments: None)


@pytest.fixture(scope="session")
def _running_secret_store() -> Iterator[SandboxStore]:
    with running_store() as store:
        yield store


@pytest.fixture
def secret_store(_running_secret_store: SandboxStore, settings: Any) -> SandboxStore:
    """An empty secret store that the settings name."""
    _running_secret_store.forget()
    settings.SECRET_STORE_URL = _running_secret_store.server.url
    return _running_secret_store


@pytest.fixture
def clock(transactional_db: None) -> Iterator[MovableClock]:
    """The one clock of Postgres and Python, to move forward."""
    with owner_connection() as owner, MovableClock(owner) as movable:
        yield movable


@pytest.fixture
def catalyst_home(tmp_path: Path, settings: Any) -> Path:
    """A data folder of the test's own."""
    settings.CATALYST_HOME = tmp_path
    settings.GIT_ROOT = tmp_path / "git"
    return tmp_path


@pytest.fixture
def sovereign(db: None) -> Sovereign:
    return factories.SovereignFactory.create()


@pytest.fixture
def organization(db: None) -> Organization:
    return factories.OrganizationFactory.create(slug="acme", name="Acme")


@pytest.fixture
def org_admin(organization: Organization) -> User:
    return factories.MembershipFactory.create(organization=organization, role=Membership.Role.ADMIN).user


@pytest.fixture
def stranger(db: None) -> User:
    """The administrator of another Organization, ``globex``."""
    other = factories.OrganizationFactory.create(slug="globex", name="Globex")
    return factories.MembershipFactory.create(organization=other, role=Membership.Role.ADMIN).user


@pytest.fixture
def api() -> APIClient:
    """An API client that is nobody."""
    return APIClient()


@pytest.fixture
def api_as() -> Callable[..., APIClient]:
    """Make an API client with a person's own bearer token; keywords go to ``issue_token``."""

    def make(user: User, **limits: Any) -> APIClient:
        _, plaintext = issue_token(user=user, actor=user, now=timezone.now(), **limits)
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {plaintext}")
        return client

    return make
