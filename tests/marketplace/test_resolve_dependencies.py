"""The closure of a selection over its dependencies: exact, repeatable, and refused when it cannot be met."""

import random

import pytest

from marketplace.selectors.capacity import Footprint
from marketplace.selectors.dependencies import Candidate, Edge, Index, Lock, Root, Unresolvable, resolve


def candidate(
    name: str, version: str = "1.0.0", *edges: Edge, sharing: tuple[str, ...] = ("shared", "dedicated")
) -> Candidate:
    return Candidate(name, version, "sha256:", "public", "application", Footprint(1, 1, 1), edges, sharing)


def index(*candidates: Candidate) -> Index:
    names = {each.blueprint for each in candidates}
    return {name: tuple(each for each in candidates if each.blueprint == name) for name in names}


def shared(name: str, version_range: str = "^1", alias: str = "db") -> Edge:
    return Edge(name, version_range, alias, "shared")


def test_installs_a_shared_service_once_and_before_its_dependents() -> None:
    snapshot = index(
        candidate("bp-blog", "1.0.0", shared("bp-sql")),
        candidate("bp-shop", "1.0.0", shared("bp-sql")),
        candidate("bp-sql"),
    )

    lock = resolve(index=snapshot, roots=[Root("shop", "bp-shop"), Root("blog", "bp-blog")])

    assert lock.applications() == ("shared-sql", "blog", "shop")
    assert lock.entries[0].requested_by == ("blog", "shop")
    assert lock.entries[1].bindings == {"db": "shared-sql"}


def test_gives_a_dedicated_service_to_each_alias() -> None:
    edges = (Edge("bp-sql", "^1", "db", "dedicated"), Edge("bp-sql", "^2", "old", "dedicated"))
    snapshot = index(candidate("bp-blog", "1.0.0", *edges), candidate("bp-sql"), candidate("bp-sql", "2.1.0"))

    lock = resolve(index=snapshot, roots=[Root("blog", "bp-blog")])

    versions = {entry.application: entry.candidate.version for entry in lock.entries}
    assert versions == {"blog": "1.0.0", "blog-db": "1.0.0", "blog-old": "2.1.0"}


def test_takes_the_newest_release_of_the_range() -> None:
    versions = [candidate("bp-sql", text) for text in ("1.9.0", "1.10.0", "1.11.0-rc.1", "2.0.0")]
    snapshot = index(candidate("bp-blog", "1.0.0", shared("bp-sql", "^1.2")), *versions)

    lock = resolve(index=snapshot, roots=[Root("blog", "bp-blog")])

    assert lock.entries[0].candidate.version == "1.10.0"


def test_joins_what_the_environment_already_runs() -> None:
    snapshot = index(candidate("bp-blog", "1.0.0", shared("bp-sql")), candidate("bp-sql"), candidate("bp-sql", "1.5.0"))
    running = resolve(index=index(candidate("bp-sql")), roots=[Root("shared-sql", "bp-sql")])

    lock = resolve(index=snapshot, roots=[Root("blog", "bp-blog")], existing=running)

    assert lock.entries[0].application == "shared-sql"
    assert lock.entries[0].candidate.version == "1.0.0"
    assert lock.entries[0].requested_by == ("blog",)


def test_refuses_ranges_that_exclude_each_other() -> None:
    snapshot = index(
        candidate("bp-blog", "1.0.0", shared("bp-sql", "^1")),
        candidate("bp-shop", "1.0.0", shared("bp-sql", "^2")),
        candidate("bp-sql"),
        candidate("bp-sql", "2.0.0"),
    )

    with pytest.raises(Unresolvable, match=r"blog 1.0.0 needs bp-sql \^1. shop 1.0.0 needs bp-sql \^2."):
        resolve(index=snapshot, roots=[Root("blog", "bp-blog"), Root("shop", "bp-shop")])


def test_refuses_a_cycle() -> None:
    snapshot = index(candidate("bp-aa", "1.0.0", shared("bp-bb")), candidate("bp-bb", "1.0.0", shared("bp-aa")))

    with pytest.raises(Unresolvable, match="bp-aa → bp-bb → bp-aa"):
        resolve(index=snapshot, roots=[Root("aa", "bp-aa")])


def test_refuses_a_blueprint_that_needs_itself() -> None:
    snapshot = index(candidate("bp-aa", "1.0.0", shared("bp-aa")))

    with pytest.raises(Unresolvable, match="bp-aa → bp-aa"):
        resolve(index=snapshot, roots=[Root("aa", "bp-aa")])


def test_refuses_what_is_too_deep() -> None:
    chain = [candidate(f"bp-c{step}", "1.0.0", shared(f"bp-c{step + 1}")) for step in range(8)]

    with pytest.raises(Unresolvable, match="deeper than 8"):
        resolve(index=index(*chain, candidate("bp-c8")), roots=[Root("c0", "bp-c0")])


def test_refuses_a_missing_version() -> None:
    snapshot = index(candidate("bp-blog", "1.0.0", shared("bp-sql", "^3")), candidate("bp-sql"))

    with pytest.raises(Unresolvable, match=r"No published version of bp-sql \^3"):
        resolve(index=snapshot, roots=[Root("blog", "bp-blog")])


def test_refuses_sharing_that_the_service_does_not_offer() -> None:
    snapshot = index(candidate("bp-blog", "1.0.0", shared("bp-sql")), candidate("bp-sql", sharing=("dedicated",)))

    with pytest.raises(Unresolvable, match="bp-sql cannot be shared"):
        resolve(index=snapshot, roots=[Root("blog", "bp-blog")])


def test_refuses_a_second_application_of_one_name() -> None:
    with pytest.raises(Unresolvable, match="named blog exists"):
        resolve(index=index(candidate("bp-blog")), roots=[Root("blog", "bp-blog"), Root("blog", "bp-blog")])


def test_same_input_in_any_order_gives_the_same_lock() -> None:
    candidates = [
        candidate("bp-blog", "1.0.0", shared("bp-sql"), shared("bp-cache", alias="cache")),
        candidate("bp-shop", "1.0.0", shared("bp-sql")),
        candidate("bp-sql"),
        candidate("bp-sql", "1.4.0"),
        candidate("bp-cache", "1.0.0", shared("bp-sql")),
    ]
    roots = [Root("blog", "bp-blog"), Root("shop", "bp-shop")]

    locks: list[Lock] = []
    for seed in range(10):
        shuffle = random.Random(seed).shuffle
        shuffle(candidates)
        shuffle(roots)
        locks.append(resolve(index=index(*candidates), roots=roots))

    assert all(lock == locks[0] for lock in locks)
    assert locks[0].applications() == ("shared-sql", "shared-cache", "shop", "blog")
