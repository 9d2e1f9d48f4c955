"""What an upgrade asks of the resolver: obstacles of a move, who chooses first, conditions that are decided anew."""

from dataclasses import replace

import pytest

from marketplace.selectors.blueprint_index import accepted_from
from marketplace.selectors.resolver import Conflict, Lock, LockEntry, Moves, Obstacle, Options, find_obstacle, solve
from tests.marketplace.resolver_rows import catalogue, found, needs, version

WHEN = "{{ .config.cache == true }}"


@pytest.mark.parametrize(
    ("running", "target", "blocks", "accepts", "obstacle"),
    [
        ("1.2.0", "1.2.1", (), (), None),
        ("1.2.0", "2.0.0", (), (), None),
        ("1.2.0", "1.2.0", (), (), Obstacle.OLDER),
        ("1.2.0", "1.1.9", (), (), Obstacle.OLDER),
        ("1.2.0", "1.3.0", ("<1.2.1",), (), Obstacle.BLOCKED),
        ("1.2.0", "1.3.0", ("<1.2.1",), ("1.x",), Obstacle.BLOCKED),
        ("1.2.0", "2.0.0", (), ("2.x",), Obstacle.RECREATE),
        ("1.2.0", "2.0.0", (), ("1.1.x", "1.2.x"), None),
        ("1.2.0-rc.1", "1.2.0", (), ("1.x",), None),
        ("1.2.0-rc.1", "2.0.0", (), ("1.1.x",), Obstacle.RECREATE),
    ],
)
def test_what_stands_between_two_versions(
    running: str, target: str, blocks: tuple[str, ...], accepts: tuple[str, ...], obstacle: Obstacle | None
) -> None:
    first, second = version("wiki", running), replace(version("wiki", target, blocks=blocks), accepts=accepts)

    assert find_obstacle(first, second) == obstacle


def test_another_source_is_never_reached() -> None:
    first, second = version("wiki", "1.0.0"), version("wiki", "1.1.0", source="org")

    assert find_obstacle(first, second) == Obstacle.SOURCE


@pytest.mark.parametrize(
    ("number", "stated", "ranges"),
    [("1.4.2", (), ("1.x",)), ("0.3.0", (), ("0.x",)), ("2.0.0", ("1.4.x",), ("1.4.x",))],
)
def test_who_states_nothing_takes_over_its_own_major(
    number: str, stated: tuple[str, ...], ranges: tuple[str, ...]
) -> None:
    assert accepted_from(number, stated) == ranges


def lock_of(*entries: LockEntry) -> Lock:
    return Lock(entries)


@pytest.mark.parametrize("name", ["aaa", "zzz"])
def test_what_is_to_be_upgraded_chooses_before_what_must_follow(name: str) -> None:
    old, new = (
        version(name, "1.0.0", needs("sql", "^1.0", alias="db")),
        version(name, "1.1.0", needs("sql", "^1.1", alias="db")),
    )
    index = catalogue(new, old, version("sql", "1.0.0"), version("sql", "1.1.0"))
    locked = lock_of(
        LockEntry("shared-sql", version("sql", "1.0.0"), (name,), {}),
        LockEntry(name, old, (), {"db": "shared-sql"}),
    )

    lock = solve(index=index, roots=[], locked=locked, options=Options(moves=Moves.MINIMAL, upgrade=frozenset({name})))

    assert found(lock) == {"shared-sql": "1.1.0", name: "1.1.0"}


def test_conditions_are_decided_anew_for_what_is_configured_alone() -> None:
    wiki = version("wiki", "1.0.0", needs("cache", "^1", when=WHEN), defaults={"cache": False})
    index = catalogue(wiki, version("cache", "1.0.0"))
    locked = lock_of(LockEntry("one", wiki, (), {}), LockEntry("two", wiki, (), {}))
    options = Options(
        moves=Moves.NONE, configured=frozenset({"one"}), config={"one": {"cache": True}, "two": {"cache": True}}
    )

    lock = solve(index=index, roots=[], locked=locked, options=options)

    entries = {entry.application: entry for entry in lock.entries}
    assert set(entries) == {"one", "two", "shared-cache"}
    assert dict(entries["one"].bindings) == {"cache": "shared-cache"}
    assert dict(entries["two"].bindings) == {}
    assert entries["shared-cache"].requested_by == ("one",)


def test_what_bound_two_that_stay_is_not_judged_again() -> None:
    wiki = version("wiki", "1.0.0", needs("sql", "^2", alias="db"))
    locked = lock_of(
        LockEntry("shared-sql", version("sql", "1.0.0"), ("wiki",), {}),
        LockEntry("wiki", wiki, (), {"db": "shared-sql"}),
    )
    options = Options(moves=Moves.NONE, configured=frozenset({"wiki"}))

    lock = solve(index=catalogue(wiki), roots=[], locked=locked, options=options)

    assert found(lock) == {"shared-sql": "1.0.0", "wiki": "1.0.0"}


def test_a_dedicated_service_that_was_left_behind_is_taken_up_again() -> None:
    wiki = version("wiki", "1.0.0", needs("cache", "^1", when=WHEN, sharing="dedicated"))
    cache = version("cache", "1.0.0")
    options = Options(moves=Moves.NONE, configured=frozenset({"wiki"}), config={"wiki": {"cache": True}})

    def solved(*requested_by: str) -> Lock:
        entries = LockEntry("wiki", wiki, (), {}), LockEntry("wiki-cache", cache, requested_by, {})
        return solve(index=catalogue(wiki, cache), roots=[], locked=lock_of(*entries), options=options)

    assert {entry.application: dict(entry.bindings) for entry in solved("wiki").entries} == {
        "wiki": {"cache": "wiki-cache"},
        "wiki-cache": {},
    }
    with pytest.raises(Conflict, match="that name is taken"):
        solved()
