"""Who uses what together: shared, dedicated and single services, what a person decides, and conditions."""

from typing import Any

import pytest

from marketplace.selectors.blueprint_index import index_of, listings_of
from marketplace.selectors.dependencies import resolve
from marketplace.selectors.resolver import Choice, Conflict, Lock, Options, Root, Unresolvable, solve
from tests.marketplace.resolver_rows import bindings, catalogue, found, needs, running, version

SQL = (version("sql", "1.0.0"), version("sql", "2.0.0"))
BLOG = version("blog", "1.0.0", needs("sql", "^1"))
SHOP = version("shop", "1.0.0", needs("sql", "^2"))
ROOTS = [Root("blog", "bp-blog"), Root("shop", "bp-shop")]


def test_two_majors_live_side_by_side_when_a_person_decides_so() -> None:
    options = Options(choices=(Choice("shop", "sql"),))

    lock = solve(index=catalogue(BLOG, SHOP, *SQL), roots=ROOTS, options=options)

    assert found(lock) == {"shared-sql": "1.0.0", "shop-sql": "2.0.0", "blog": "1.0.0", "shop": "1.0.0"}
    assert bindings(lock, "shop") == {"sql": "shop-sql"}


def test_an_existing_application_is_bound_at_its_version() -> None:
    locked = Lock((running("archive", SQL[0]),))
    options = Options(choices=(Choice("blog", "sql", bind="archive"),))

    lock = solve(index=catalogue(BLOG, version("sql", "1.9.0")), roots=ROOTS[:1], locked=locked, options=options)

    assert found(lock) == {"archive": "1.0.0", "blog": "1.0.0"}
    assert bindings(lock, "blog") == {"sql": "archive"}
    assert lock.entries[0].requested_by == ("blog",)


def test_an_existing_application_of_another_blueprint_is_not_bound() -> None:
    locked = Lock((running("archive", version("cache", "1.0.0")),))
    options = Options(choices=(Choice("blog", "sql", bind="archive"),))

    with pytest.raises(Conflict, match="blog needs a bp-sql named archive, and that name is taken"):
        solve(index=catalogue(BLOG, *SQL), roots=ROOTS[:1], locked=locked, options=options)


def test_what_is_not_there_is_not_bound() -> None:
    options = Options(choices=(Choice("blog", "sql", bind="archive"),))

    with pytest.raises(Conflict, match="blog is to use archive, which is not there"):
        solve(index=catalogue(BLOG, *SQL), roots=ROOTS[:1], options=options)


def test_a_single_service_is_joined_wherever_it_stands() -> None:
    gate = version("gate", "1.0.0", sharing=("singleton",))
    index = catalogue(version("blog", "1.0.0", needs("gate", "^1")), gate)

    fresh = solve(index=index, roots=ROOTS[:1])
    beside = solve(index=index, roots=[*ROOTS[:1], Root("front", "bp-gate")])
    joined = solve(index=index, roots=ROOTS[:1], locked=Lock((running("door", gate),)))

    assert found(fresh) == {"shared-gate": "1.0.0", "blog": "1.0.0"}
    assert bindings(beside, "blog") == {"gate": "front"}
    assert bindings(joined, "blog") == {"gate": "door"}


def test_a_single_service_is_not_asked_for_twice() -> None:
    gate = version("gate", "1.0.0", sharing=("singleton",))

    with pytest.raises(Unresolvable, match="at most one bp-gate, and door is it already"):
        solve(index=catalogue(gate), roots=[Root("front", "bp-gate")], locked=Lock((running("door", gate),)))


def test_a_single_service_is_nobodys_own() -> None:
    gate = version("gate", "1.0.0", sharing=("singleton",))
    index = catalogue(version("blog", "1.0.0", needs("gate", "^1", sharing="dedicated")), gate)

    with pytest.raises(Conflict, match="bp-gate cannot be dedicated, as blog asks"):
        solve(index=index, roots=ROOTS[:1])


def test_an_older_version_is_taken_when_the_newest_cannot_be_shared() -> None:
    index = catalogue(
        version("blog", "1.0.0", needs("sql", "1.x || 2.x")),
        version("sql", "1.0.0"),
        version("sql", "2.0.0", sharing=("dedicated",)),
    )

    assert found(solve(index=index, roots=ROOTS[:1])) == {"shared-sql": "1.0.0", "blog": "1.0.0"}


def test_a_name_of_its_own_must_be_free() -> None:
    index = catalogue(version("blog", "1.0.0", needs("sql", "^1", sharing="dedicated")), *SQL)

    with pytest.raises(Conflict, match="blog needs a bp-sql named blog-sql, and that name is taken"):
        solve(index=index, roots=[Root("blog", "bp-blog"), Root("blog-sql", "bp-sql")])


@pytest.mark.parametrize(
    ("given", "default", "applications"),
    [
        ({}, False, {"blog"}),
        ({}, True, {"blog", "shared-cache"}),
        ({"cache": True}, False, {"blog", "shared-cache"}),
        ({"cache": False}, True, {"blog"}),
    ],
)
def test_conditions_are_decided_by_the_configuration(
    given: dict[str, bool], default: bool, applications: set[str]
) -> None:
    edge = needs("cache", "^1", when="{{ .config.cache == true }}")
    index = catalogue(version("blog", "1.0.0", edge, defaults={"cache": default}), version("cache", "1.0.0"))

    lock = solve(index=index, roots=ROOTS[:1], options=Options(config={"blog": given}))

    assert set(found(lock)) == applications


def test_a_dependency_that_is_switched_off_may_be_missing() -> None:
    edge = needs("cache", "^1", when="{{ .config.cache == true }}")

    assert found(solve(index=catalogue(version("blog", "1.0.0", edge)), roots=ROOTS[:1])) == {"blog": "1.0.0"}


@pytest.mark.parametrize(("default", "applications"), [(True, {"blog", "shared-cache"}), (False, {"blog"})])
def test_conditions_are_read_from_the_catalogue(default: bool, applications: set[str]) -> None:
    edge = {"blueprint": "bp-cache", "version": "^1", "alias": "cache", "when": "{{ .config.cache.on == true }}"}
    cache = {"type": "object", "properties": {"on": {"type": "boolean", "default": default}}}
    rows = [
        _row("bp-blog", depends=[edge], config_schema={"type": "object", "properties": {"cache": cache}}),
        _row("bp-cache", depends=None, config_schema=None),
    ]
    index = index_of(listings_of(rows))

    usual = resolve(index=index, roots=ROOTS[:1])
    other = resolve(index=index, roots=ROOTS[:1], config={"blog": {"cache": {"on": not default}}})

    assert set(found(usual)) == applications
    assert set(found(other)) == {"blog", "shared-cache"} ^ applications | {"blog"}


def _row(name: str, **contract: Any) -> dict[str, Any]:
    return {
        "name": name,
        "slug": name.removeprefix("bp-"),
        "title": name,
        "kind": "application",
        "source": "public",
        "visibility": "listed",
        "state": "now",
        "is_retired": False,
        "price_minor": 0,
        "version": "1.0.0",
        "digest": "sha256:",
        "sharing": None,
        "footprint": None,
        "blocks": None,
        "accepts": None,
        **contract,
    }
