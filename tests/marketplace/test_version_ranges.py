"""One grammar for versions and ranges: a table of (range, version, verdict), and what is refused."""

import pytest

from marketplace.selectors.version_ranges import RangeRefused, is_allowed, parse_range, parse_version


@pytest.mark.parametrize(
    ("text", "version", "verdict"),
    [
        ("^1.4", "1.4.0", True),
        ("^1.4", "1.9.9", True),
        ("^1.4", "2.0.0", False),
        ("^1.4", "1.3.9", False),
        ("^0.4", "0.4.7", True),
        ("^0.4", "0.5.0", False),
        ("^0.0.3", "0.0.3", True),
        ("^0.0.3", "0.0.4", False),
        ("~1.4", "1.4.9", True),
        ("~1.4", "1.5.0", False),
        ("1.x", "1.7.2", True),
        ("1.x", "2.0.0", False),
        (">=1.4 <2", "1.4.0", True),
        (">=1.4 <2", "2.0.0", False),
        ("1.2.0 - 1.4.9", "1.4.9", True),
        ("1.2.0 - 1.4.9", "1.4.10", False),
        ("1.4.x || ^2.1", "2.3.0", True),
        ("1.4.x || ^2.1", "1.5.0", False),
        ("^1.2.3-rc.1", "1.2.3-rc.2", True),
        ("^1.2.3", "1.3.0-rc.1", False),
        ("=1.2.3", "1.2.3", True),
    ],
)
def test_tells_whether_a_range_holds_a_version(text: str, version: str, verdict: bool) -> None:
    assert is_allowed(version, text) is verdict


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "v1.2", "^v1", "!=1.2", "1.2, 1.3", "~>1.2", "latest", "1.2.3+build", "1 ||", "^1.2-rc"),
        *("1." + "0" * 120, " || ".join(["^1"] * 9), "1.2.3\n^2\u00a0", "1.2 - 1.4"),
    ],
)
def test_refuses_what_other_readers_understand_differently(text: str) -> None:
    with pytest.raises(RangeRefused):
        parse_range(text)


@pytest.mark.parametrize("text", ["*", "x", ">=1", ">1.2.3", "^1 || >=3"])
def test_refuses_an_open_end_in_depends(text: str) -> None:
    parse_range(text)

    with pytest.raises(RangeRefused):
        parse_range(text, bounded=True)


@pytest.mark.parametrize("text", ["v1.2.3", "1.2", "1.2.3+b", "01.2.3", "1.2.3\n", ""])
def test_refuses_what_is_no_exact_version(text: str) -> None:
    with pytest.raises(RangeRefused):
        parse_version(text)
