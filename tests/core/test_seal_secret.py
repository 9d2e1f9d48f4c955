"""A sealed secret opens only where it was sealed."""

import base64
from typing import Any

import pytest

from catalyst.core.crypto import SealBroken, seal, unseal

PLACE, SCOPE = "table:1:column", "organization:1"


def test_opens_at_its_place() -> None:
    assert unseal(seal("wörd", place=PLACE, scope=SCOPE), place=PLACE, scope=SCOPE) == "wörd"


def test_never_looks_the_same_twice() -> None:
    assert seal("word", place=PLACE) != seal("word", place=PLACE)


@pytest.mark.parametrize(
    ("place", "scope"), [("table:2:column", SCOPE), (PLACE, "organization:2"), (PLACE, "sovereign")]
)
def test_does_not_open_elsewhere(place: Any, scope: Any) -> None:
    sealed = seal("word", place=PLACE, scope=SCOPE)

    with pytest.raises(SealBroken):
        unseal(sealed, place=place, scope=scope)


@pytest.mark.parametrize("position", range(4))
def test_does_not_open_when_a_part_is_altered(position: Any) -> None:
    parts = seal("word", place=PLACE).split(":")
    parts[position] = parts[position][::-1] if position != 0 else "v2"

    with pytest.raises(SealBroken):
        unseal(":".join(parts), place=PLACE)


@pytest.mark.parametrize("sealed", ["", "v1", "v1:::", "word"])
def test_does_not_open_nonsense(sealed: Any) -> None:
    with pytest.raises(SealBroken):
        unseal(sealed, place=PLACE)


def test_opens_with_the_former_master_key(settings: Any) -> None:
    sealed = seal("word", place=PLACE)
    former = settings.CATALYST_MASTER_KEYS[0]
    new = base64.b64encode(b"n" * 32).decode()

    settings.CATALYST_MASTER_KEYS = [new, former]

    assert unseal(sealed, place=PLACE) == "word"
    settings.CATALYST_MASTER_KEYS = [new]
    with pytest.raises(SealBroken):
        unseal(sealed, place=PLACE)
