"""What a conflict says: who needs what, what is in the way, and what would fit, whole texts."""

from dataclasses import replace

import pytest

from marketplace.selectors.resolver import Conflict, Edge, Lock, Moves, Options, Relaxation, Root, solve
from tests.marketplace.resolver_rows import catalogue, found, needs, running, version

CC = (version("cc", "1.0.0"), version("cc", "2.0.0"))
BLOG = version("blog", "1.0.0")
STILL = Options(moves=Moves.NONE)


def conflict(
    *versions: object, roots: list[Root], locked: Lock | None = None, options: Options | None = None
) -> Conflict:
    with pytest.raises(Conflict) as caught:
        solve(index=catalogue(*versions), roots=roots, locked=locked, options=options)  # type: ignore[arg-type]
    return caught.value


def test_names_both_sides_and_the_version_that_would_fit() -> None:
    refusal = conflict(
        version("aa", "2.1.0", needs("cc", "^2")),
        version("bb", "1.4.0", needs("cc", "^1")),
        version("bb", "1.5.0", needs("cc", "^2")),
        version("zz", "1.0.0", needs("cc", "1.x || 2.x")),
        *CC,
        roots=[Root("aa", "bp-aa"), Root("bb", "bp-bb", "~1.4"), Root("zz", "bp-zz")],
    )

    assert refusal.message == (
        "aa 2.1.0 needs bp-cc ^2. You ask for bp-bb ~1.4. bb 1.4.0 needs bp-cc ^1. bb 1.5.0 would fit."
        " It would fit if aa had a bp-cc of its own. It would fit if bb had a bp-cc of its own."
    )
    assert refusal.explanation.relaxations[0] == Relaxation("range", "bb", "", "bp-bb", "1.5.0")
    assert refusal.extra["requirements"] == [
        {"application": "aa", "blueprint": "bp-cc", "range": "^2"},
        {"application": "bb", "blueprint": "bp-bb", "range": "~1.4"},
        {"application": "bb", "blueprint": "bp-cc", "range": "^1"},
    ]


def test_names_what_runs_and_where_it_would_have_to_go() -> None:
    refusal = conflict(
        version("shop", "1.0.0", needs("cc", "^2")),
        *CC,
        roots=[Root("shop", "bp-shop")],
        locked=Lock((running("shared-cc", CC[0]),)),
        options=STILL,
    )

    assert refusal.message == (
        "shop 1.0.0 needs bp-cc ^2. shared-cc runs bp-cc 1.0.0. It would fit if shared-cc moved from 1.0.0 to 2.0.0."
        " It would fit if shop had a bp-cc of its own."
    )


def test_offers_no_move_that_another_application_forbids() -> None:
    blog = version("blog", "1.0.0", needs("cc", "^1"))
    refusal = conflict(
        version("shop", "1.0.0", needs("cc", "^2")),
        *CC,
        roots=[Root("shop", "bp-shop")],
        locked=Lock((running("shared-cc", CC[0], "blog"), running("blog", blog, cc="shared-cc"))),
        options=STILL,
    )

    assert [way.kind for way in refusal.explanation.relaxations] == ["own"]


def test_shortens_a_long_list_of_versions() -> None:
    shops = [version("shop", f"1.{minor}.0", needs("cc", "^3")) for minor in range(5)]

    refusal = conflict(*shops, BLOG, *CC, roots=[Root("shop", "bp-shop"), Root("blog", "bp-blog")])

    assert refusal.message == (
        "No published version of bp-cc ^3 can be installed; shop 1.4.0, 1.3.0, 1.2.0 and 2 more versions needs it."
    )


@pytest.mark.parametrize(
    ("edge", "service", "text"),
    [
        (needs("dd", "^1"), (), "No published version of bp-dd ^1 can be installed."),
        (
            needs("dd", "^1"),
            (version("dd", "1.0.0", sharing=("dedicated",)),),
            "bp-dd cannot be shared, as shop asks.",
        ),
        (
            needs("dd", "^2"),
            (version("dd", "1.0.0"), version("dd", "2.0.0", sharing=("dedicated",))),
            (
                "shop 1.0.0 needs bp-dd ^2. Of bp-dd only 1.0.0 can be shared, as shop asks."
                " It would fit if shop had a bp-dd of its own."
            ),
        ),
        (
            needs("dd", "^2", sharing="dedicated"),
            (version("dd", "1.0.0"), version("dd", "2.0.0", sharing=("shared",))),
            "shop 1.0.0 needs bp-dd ^2. Of bp-dd only 1.0.0 can be dedicated, as shop asks.",
        ),
        (
            needs("dd", "^1"),
            (version("dd", "1.0.0", needs("shop", "^1")),),
            "Dependency cycle: bp-shop → bp-dd → bp-shop.",
        ),
    ],
)
def test_says_what_else_is_in_the_way(edge: Edge, service: tuple[object, ...], text: str) -> None:
    refusal = conflict(version("shop", "1.0.0", edge), *service, roots=[Root("shop", "bp-shop")])

    assert refusal.message == text


def test_says_who_needs_what_is_not_there() -> None:
    shop = version("shop", "1.0.0", needs("dd", "^1"))

    refusal = conflict(shop, BLOG, roots=[Root("shop", "bp-shop"), Root("blog", "bp-blog")])

    assert refusal.message == "No published version of bp-dd ^1 can be installed; shop needs it."


def test_says_that_there_is_nothing_of_a_wish() -> None:
    refusal = conflict(version("shop", "1.0.0"), roots=[Root("shop", "bp-shop", "^2")])

    assert refusal.message == "No published version of bp-shop ^2 can be installed. shop 1.0.0 would fit."


def test_leaves_out_who_has_no_part_in_it() -> None:
    others = [version(f"n{number}", "1.0.0", needs("cc", "1.x || 2.x")) for number in range(9)]
    refusal = conflict(
        version("aa", "1.0.0", needs("cc", "^2")),
        version("bb", "1.0.0", needs("cc", "^1")),
        *others,
        *CC,
        roots=[Root(each.blueprint[3:], each.blueprint) for each in others]
        + [Root("aa", "bp-aa"), Root("bb", "bp-bb")],
    )

    assert {demand.application for demand in refusal.explanation.demands} == {"aa", "bb"}
    assert refusal.explanation.is_minimal


def test_a_deprecated_one_is_joined_where_it_runs_and_moves_on_but_does_not_come_anew() -> None:
    old, new = (replace(each, is_deprecated=True) for each in (version("cc", "1.0.0"), version("cc", "1.1.0")))
    shop = version("shop", "1.0.0", needs("cc", "^1"))
    runs = Lock((running("shared-cc", old),))
    asked = [Root("shop", "bp-shop")]

    refusal = conflict(shop, old, new, roots=asked)
    joined = solve(index=catalogue(shop, old, new), roots=asked, locked=runs, options=STILL)
    moved = solve(index=catalogue(old, new), roots=[], locked=runs, options=Options(upgrade=frozenset({"shared-cc"})))

    assert refusal.message == ("shop needs bp-cc, which is deprecated: what runs keeps it, and nothing new gets it.")
    assert (found(joined), found(moved)) == ({"shared-cc": "1.0.0", "shop": "1.0.0"}, {"shared-cc": "1.1.0"})


def test_an_older_version_that_needs_nothing_deprecated_is_taken() -> None:
    gone = replace(version("cc", "1.0.0"), is_deprecated=True)
    shops = (version("shop", "1.0.0"), version("shop", "2.0.0", needs("cc", "^1")))

    assert found(solve(index=catalogue(*shops, gone), roots=[Root("shop", "bp-shop")])) == {"shop": "1.0.0"}
