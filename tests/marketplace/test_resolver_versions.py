"""Which versions are chosen: the newest that everybody accepts, and what runs moves only as it may."""

import pytest

from marketplace.selectors.blueprint_index import index_of, listings_of
from marketplace.selectors.resolver import Conflict, Lock, Moves, Options, Root, solve
from tests.marketplace.resolver_rows import catalogue, found, needs, running, version

SQL = (version("sql", "1.0.0"), version("sql", "1.4.0"), version("sql", "2.0.0"))
BLOG = version("blog", "1.0.0", needs("sql", "^1"))
RUNNING = Lock((running("shared-sql", SQL[0], "blog"), running("blog", BLOG, sql="shared-sql")))


def test_goes_back_to_an_older_version_when_the_newest_fits_nobody() -> None:
    index = catalogue(
        version("blog", "1.0.0", needs("sql", "^1")),
        version("blog", "2.0.0", needs("sql", "^2")),
        version("shop", "1.0.0", needs("sql", "^1")),
        *SQL,
    )

    lock = solve(index=index, roots=[Root("blog", "bp-blog"), Root("shop", "bp-shop")])

    assert found(lock) == {"shared-sql": "1.4.0", "blog": "1.0.0", "shop": "1.0.0"}


def test_goes_back_over_many_levels() -> None:
    index = catalogue(
        version("aa", "1.0.0", needs("bb", "^1")),
        version("bb", "1.0.0", needs("cc", "^1")),
        version("bb", "1.1.0", needs("cc", "^2")),
        version("cc", "1.0.0", needs("sql", "^1")),
        version("cc", "2.0.0", needs("sql", "^2")),
        version("zz", "1.0.0", needs("sql", "^1")),
        *SQL,
    )

    lock = solve(index=index, roots=[Root("aa", "bp-aa"), Root("zz", "bp-zz")])

    assert found(lock) == {
        "shared-sql": "1.4.0",
        "shared-cc": "1.0.0",
        "shared-bb": "1.0.0",
        "aa": "1.0.0",
        "zz": "1.0.0",
    }


def test_a_pre_release_comes_after_every_release() -> None:
    index = catalogue(version("blog", "2.0.0-rc.1"), version("blog", "1.0.0"))

    assert found(solve(index=index, roots=[Root("blog", "bp-blog")])) == {"blog": "1.0.0"}
    assert found(solve(index=index, roots=[Root("blog", "bp-blog", "^2.0.0-rc.1")])) == {"blog": "2.0.0-rc.1"}


def test_what_runs_stays_when_it_may() -> None:
    index = catalogue(BLOG, version("shop", "1.0.0", needs("sql", "^1")), *SQL)

    lock = solve(index=index, roots=[Root("shop", "bp-shop")], locked=RUNNING)

    assert found(lock) == {"shared-sql": "1.0.0", "blog": "1.0.0", "shop": "1.0.0"}
    assert lock.entries[0].requested_by == ("blog", "shop")


def test_what_runs_moves_when_something_forces_it() -> None:
    index = catalogue(BLOG, version("shop", "1.0.0", needs("sql", ">=1.4 <2")), *SQL)

    lock = solve(index=index, roots=[Root("shop", "bp-shop")], locked=RUNNING)

    assert found(lock) == {"shared-sql": "1.4.0", "blog": "1.0.0", "shop": "1.0.0"}


def test_nothing_moves_when_nothing_may() -> None:
    index = catalogue(BLOG, version("shop", "1.0.0", needs("sql", ">=1.4 <2")), *SQL)

    with pytest.raises(Conflict):
        solve(index=index, roots=[Root("shop", "bp-shop")], locked=RUNNING, options=Options(moves=Moves.NONE))


def test_all_move_to_the_newest_that_their_users_accept() -> None:
    lock = solve(index=catalogue(BLOG, *SQL), roots=[], locked=RUNNING, options=Options(moves=Moves.LATEST))

    assert found(lock) == {"shared-sql": "1.4.0", "blog": "1.0.0"}


def test_an_upgrade_of_one_moves_the_others_only_as_far_as_it_must() -> None:
    index = catalogue(BLOG, version("blog", "1.1.0", needs("sql", "1.x || 2.x")), *SQL)

    lock = solve(index=index, roots=[], locked=RUNNING, options=Options(upgrade=frozenset({"blog"})))

    assert found(lock) == {"shared-sql": "1.0.0", "blog": "1.1.0"}


def test_a_root_with_the_name_of_what_runs_states_its_range() -> None:
    index = catalogue(BLOG, version("blog", "2.0.0", needs("sql", "^2")), *SQL)

    lock = solve(index=index, roots=[Root("blog", "bp-blog", "^2")], locked=RUNNING)

    assert found(lock) == {"shared-sql": "2.0.0", "blog": "2.0.0"}


def test_what_runs_never_moves_back() -> None:
    locked = Lock((running("shared-sql", SQL[2]),))
    index = catalogue(BLOG, *SQL)

    with pytest.raises(Conflict):
        solve(index=index, roots=[Root("blog", "bp-blog")], locked=locked)


def test_what_runs_never_crosses_a_blocked_upgrade() -> None:
    newer = version("sql", "1.5.0", blocks=("<1.4.0",))
    options = Options(moves=Moves.LATEST)

    assert found(solve(index=catalogue(BLOG, SQL[0], newer), roots=[], locked=RUNNING, options=options)) == {
        "shared-sql": "1.0.0",
        "blog": "1.0.0",
    }
    assert found(solve(index=catalogue(BLOG, SQL[1], newer), roots=[], locked=RUNNING, options=options)) == {
        "shared-sql": "1.4.0",
        "blog": "1.0.0",
    }


def test_what_runs_keeps_its_source() -> None:
    private = version("sql", "1.9.0", source="org")

    lock = solve(index=catalogue(BLOG, private), roots=[], locked=RUNNING, options=Options(moves=Moves.LATEST))

    assert found(lock) == {"shared-sql": "1.0.0", "blog": "1.0.0"}


def test_a_yanked_version_stays_where_it_runs_and_comes_nowhere_else() -> None:
    index = catalogue(BLOG, version("sql", "1.4.0"), version("shop", "1.0.0", needs("sql", "^1", sharing="dedicated")))

    lock = solve(index=index, roots=[Root("shop", "bp-shop")], locked=RUNNING)

    assert found(lock) == {"shared-sql": "1.0.0", "shop-sql": "1.4.0", "blog": "1.0.0", "shop": "1.0.0"}


def test_what_runs_is_not_judged_again() -> None:
    """Its range was changed by hand since: nothing new is in the way of an unrelated installation."""
    odd = version("blog", "1.0.0", needs("sql", "^3"))
    locked = Lock((running("shared-sql", SQL[0], "blog"), running("blog", odd, sql="shared-sql")))

    lock = solve(index=catalogue(version("shop", "1.0.0")), roots=[Root("shop", "bp-shop")], locked=locked)

    assert found(lock) == {"shared-sql": "1.0.0", "shop": "1.0.0", "blog": "1.0.0"}


def test_what_came_along_leaves_with_the_last_that_needs_it() -> None:
    index = catalogue(BLOG, version("blog", "1.1.0"), *SQL)

    lock = solve(index=index, roots=[], locked=RUNNING, options=Options(upgrade=frozenset({"blog"})))

    assert found(lock) == {"blog": "1.1.0"}


def test_a_private_name_shadows_the_public_one_wholly() -> None:
    rows = [_row("bp-blog", "public", "2.0.0"), _row("bp-blog", "org", "1.0.0"), _row("bp-shop", "public", "1.0.0")]

    lock = solve(index=index_of(listings_of(rows)), roots=[Root("blog", "bp-blog"), Root("shop", "bp-shop")])

    assert {(entry.candidate.source, entry.candidate.version) for entry in lock.entries} == {
        ("org", "1.0.0"),
        ("public", "1.0.0"),
    }


def test_a_private_name_without_versions_still_hides_the_public_one() -> None:
    rows = [_row("bp-blog", "public", "2.0.0"), _row("bp-blog", "org", None)]

    with pytest.raises(Conflict, match=r"^No published version of bp-blog can be installed\.$"):
        solve(index=index_of(listings_of(rows)), roots=[Root("blog", "bp-blog")])


def _row(name: str, source: str, text: str | None) -> dict[str, object]:
    return {
        "name": name,
        "slug": name.removeprefix("bp-"),
        "title": name,
        "kind": "application",
        "source": source,
        "visibility": "listed",
        "state": "now",
        "is_retired": False,
        "price_minor": 0,
        "version": text,
        "digest": "sha256:",
        "depends": None,
        "sharing": None,
        "footprint": None,
        "blocks": None,
        "accepts": None,
        "config_schema": None,
    }
