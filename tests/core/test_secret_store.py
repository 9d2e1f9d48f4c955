"""The driver of the secret store against one that answers over HTTP: what it reads, writes, and says when it fails."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from catalyst.core.errors import DomainError
from catalyst.core.secret_store import (
    Entry,
    EntryChanged,
    Login,
    SecretStoreRefused,
    SecretStoreSealed,
    SecretStoreUnreachable,
)
from catalyst.local.sandbox_secrets.server import Fault
from tests.secret_store import TOKEN, SandboxStore, running_store

PATH = "org/acme/env/prod/wiki"
CANARY = "Canary-4711-swordfish"


@pytest.fixture(scope="module")
def running() -> Iterator[SandboxStore]:
    with running_store() as store:
        yield store


@pytest.fixture
def store(running: SandboxStore) -> SandboxStore:
    running.forget()
    return running


def test_reads_what_it_wrote(store: SandboxStore) -> None:
    driver = store.driver()

    assert driver.read(PATH) == Entry({}, 0)
    assert driver.write(PATH, {"a": CANARY, "ü": "ß "}, expected=0) == 1
    assert driver.read(PATH) == Entry({"a": CANARY, "ü": "ß "}, 1)
    assert driver.write(PATH, {}, expected=1) == 2


def test_writes_only_in_the_place_of_what_was_read(store: SandboxStore) -> None:
    driver = store.driver()
    driver.write(PATH, {"a": "1"}, expected=0)

    for expected in (0, 2):
        with pytest.raises(EntryChanged):
            driver.write(PATH, {"a": "2"}, expected=expected)
    assert driver.read(PATH) == Entry({"a": "1"}, 1)


def test_what_was_deleted_keeps_its_version(store: SandboxStore) -> None:
    driver = store.driver()
    driver.write(PATH, {"a": "1"}, expected=0)
    store.entries.delete(PATH)

    assert driver.read(PATH) == Entry({}, 1)
    assert driver.write(PATH, {"a": "2"}, expected=1) == 2


def test_a_store_that_is_not_there(store: SandboxStore) -> None:
    says(store.driver(url="http://127.0.0.1:9"), SecretStoreUnreachable, "secret_store_unreachable")


def test_a_store_that_is_sealed(store: SandboxStore) -> None:
    store.server.is_sealed = True

    says(store.driver(), SecretStoreSealed, "secret_store_sealed")


def test_a_token_that_is_not_known(store: SandboxStore) -> None:
    says(store.driver(login=Login("other")), SecretStoreRefused, "secret_store_refused")


def test_an_engine_that_is_not_there(store: SandboxStore) -> None:
    with pytest.raises(SecretStoreRefused):
        store.driver(mount="kv").write(PATH, {"a": CANARY}, expected=0)


@pytest.mark.parametrize(
    ("fault", "error", "takes_place"),
    [
        (Fault.ERROR_500, SecretStoreUnreachable, False),
        (Fault.RESET_BEFORE, SecretStoreUnreachable, False),
        (Fault.DROP_AFTER, SecretStoreUnreachable, True),
        (Fault.DENIED, SecretStoreRefused, False),
        (Fault.NO_JSON, SecretStoreRefused, True),
    ],
)
def test_a_write_that_fails(store: SandboxStore, fault: Fault, error: type[DomainError], takes_place: bool) -> None:
    store.server.faults.append(fault)

    with pytest.raises(error) as refused:
        store.driver().write(PATH, {"a": CANARY}, expected=0)
    assert store.version(PATH) == int(takes_place)
    assert CANARY not in f"{refused.value!r} {refused.value.message} {refused.value.extra}"


def test_an_approle_asks_for_a_token_and_for_the_next_one(store: SandboxStore) -> None:
    store.server.roles["platform"] = "its-secret"
    driver = store.driver(login=Login(role_id="platform", secret_id="its-secret"))
    driver.write(PATH, {"a": "1"}, expected=0)
    first = set(store.server.lent)
    store.server.lent.clear()

    assert driver.read(PATH).version == 1
    assert len(first) == 1
    assert store.server.lent.isdisjoint(first)


def test_an_approle_with_a_wrong_secret(store: SandboxStore) -> None:
    store.server.roles["platform"] = "its-secret"

    says(store.driver(login=Login(role_id="platform", secret_id="no")), SecretStoreRefused, "secret_store_refused")


def test_a_token_in_a_file_is_read_each_time(store: SandboxStore, tmp_path: Path) -> None:
    file = tmp_path / "token"
    driver = store.driver(login=Login(token_file=str(file)))
    says(driver, SecretStoreRefused, "secret_store_refused")

    file.write_text(f"{TOKEN}\n")

    assert driver.read(PATH).version == 0


def test_says_its_namespace(store: SandboxStore) -> None:
    store.driver(namespace="tenants/om").read(PATH)

    assert store.server.namespaces[-1] == "tenants/om"


@pytest.mark.parametrize("path", ["", "/a", "a//b", "a/../b"])
def test_a_path_leads_nowhere_else(store: SandboxStore, path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        store.driver().read(path)


def test_nothing_shows_what_it_knows() -> None:
    shown = repr([Entry({"a": CANARY}, 1), Login(CANARY, "file", "role", CANARY)])

    assert CANARY not in shown


def says(driver: object, error: type[DomainError], code: str) -> None:
    with pytest.raises(error) as refused:
        driver.read(PATH)  # type: ignore[attr-defined]
    assert refused.value.code == code
