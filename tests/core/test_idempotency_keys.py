"""The same command twice has one effect."""

from typing import Any

import pytest

from catalyst.core import idempotency
from catalyst.core.models import IdempotencyKey

PRINT = idempotency.fingerprint(method="POST", path="/x/", body={"a": 1})
KEY = "k" * 8


@pytest.mark.parametrize("key", [None, "", "short77", "k" * 129, "kkkkkkk\n", "kkkkkkké"])
def test_refuses_an_unusable_key(key: Any) -> None:
    with pytest.raises(idempotency.IdempotencyKeyRequired) as refusal:
        idempotency.check_key(key)

    assert (refusal.value.code, refusal.value.status) == ("idempotency_key_required", 400)


@pytest.mark.parametrize("key", ["k" * 8, "k" * 128])
def test_takes_the_shortest_and_the_longest(key: Any) -> None:
    assert idempotency.check_key(key) == key


def test_the_fingerprint_ignores_the_order_of_members() -> None:
    first = idempotency.fingerprint(method="POST", path="/x/", body={"a": 1, "b": "é"})

    assert first == idempotency.fingerprint(method="POST", path="/x/", body={"b": "é", "a": 1})


@pytest.mark.parametrize(
    "other",
    [
        {"method": "PUT", "path": "/x/", "body": {"a": 1}},
        {"method": "POST", "path": "/y/", "body": {"a": 1}},
        {"method": "POST", "path": "/x/", "body": {"a": "1"}},
    ],
)
def test_the_fingerprint_tells_requests_apart(other: Any) -> None:
    assert idempotency.fingerprint(**other) != PRINT


@pytest.mark.django_db
def test_a_key_is_claimed_once() -> None:
    assert idempotency.claim(scope="1:1", key=KEY, fingerprint=PRINT, subject="checkout:1")

    assert not idempotency.claim(scope="1:1", key=KEY, fingerprint=PRINT, subject="checkout:2")
    assert IdempotencyKey.objects.get().subject == "checkout:1"


@pytest.mark.django_db
def test_another_scope_has_its_own_keys() -> None:
    assert idempotency.claim(scope="1:1", key=KEY, fingerprint=PRINT, subject="checkout:1")
    assert idempotency.claim(scope="2:1", key=KEY, fingerprint=PRINT, subject="checkout:2")

    found = idempotency.find(scope="2:1", key=KEY, fingerprint=PRINT)

    assert found is not None
    assert found.subject == "checkout:2"


@pytest.mark.django_db
def test_a_key_of_nothing_is_bound_again() -> None:
    idempotency.claim(scope="1:1", key=KEY, fingerprint=PRINT, subject="checkout:1")

    assert idempotency.claim(scope="1:1", key=KEY, fingerprint=PRINT, subject="checkout:2", replaces="checkout:1")
    assert IdempotencyKey.objects.get().subject == "checkout:2"


@pytest.mark.django_db
def test_refuses_the_key_of_another_request() -> None:
    idempotency.claim(scope="1:1", key=KEY, fingerprint=PRINT, subject="checkout:1")

    with pytest.raises(idempotency.IdempotencyKeyReused) as refusal:
        idempotency.find(scope="1:1", key=KEY, fingerprint=b"x" * 32)

    assert (refusal.value.code, refusal.value.status) == ("idempotency_key_reused", 422)
    assert not idempotency.claim(
        scope="1:1", key=KEY, fingerprint=b"x" * 32, subject="checkout:2", replaces="checkout:1"
    )
    assert IdempotencyKey.objects.get().subject == "checkout:1"
