"""The safe subset: plain data only, and no guessing where readers of YAML disagree."""

import time

import pytest

from catalyst.core.gitops import yaml


def test_reads_plain_data() -> None:
    text = "a: 1\nb: -2.50\nc: [true, null, ~, text, '1e3', \"yes\"]\nd:\n  multi: |\n    one\n    two\n"

    assert yaml.load(text) == {
        "a": 1,
        "b": -2.5,
        "c": [True, None, None, "text", "1e3", "yes"],
        "d": {"multi": "one\ntwo\n"},
    }


@pytest.mark.asvs("1.5.2")
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: &x 1", "Line 1: Anchors"),
        ("a: 1\nb: *a", "Line 2: Anchors"),
        ("a: !!python/object:os.system x", "Line 1: Tags"),
        ("a: !!str 1", "Line 1: Tags"),
        ("a: ! x", "Line 1: Tags"),
        ("a: 1\nb: 2\na: 3", "Line 3: The key a stands twice"),
        ("a: {b: 1, 'b': 2}", "stands twice"),
        ("<<: {a: 1}", "quotes"),
        ("1: x", "key must be text"),
        ("? [a]\n: b", "key must be text"),
        ("%YAML 1.1\n---\na: 1", "Directives"),
        ("a: 1\n---\nb: 2", "Exactly one document"),
        ("", "Exactly one document"),
        ("a: [", "Line"),
        ("a: \x07", "forbids"),
        ("\tx: 1", "Line 1"),
        ("[" * 30 + "]" * 30, "levels deep"),
        ("[" * 100_000, "levels deep"),
        ("a: " + "x" * 300_000, "longer"),
        ("[" + "1," * 60_000 + "]", "More than 50000 values"),
    ],
)
def test_refuses(text: str, reason: str) -> None:
    started = time.monotonic()

    with pytest.raises(yaml.YamlRefused, match=reason):
        yaml.load(text)
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    "scalar",
    [
        *("yes", "No", "ON", "off", "y", "N", "0440", "0o17", "0x1F", "0b1", "1_000", "1e3", "1.5e3", ".5", "1."),
        *("12:30", "1:2:3", "2026-01-01", "2026-01-01 10:00:00", ".inf", "-.NaN", "=", "99999999999999999999"),
    ],
)
def test_refuses_plain_scalars_on_which_readers_disagree(scalar: str) -> None:
    with pytest.raises(yaml.YamlRefused, match="in quotes"):
        yaml.load(f"a: {scalar}")
    assert yaml.load(f"a: '{scalar}'") == {"a": scalar}


def test_refuses_bytes_that_are_not_utf8() -> None:
    with pytest.raises(yaml.YamlRefused, match="UTF-8"):
        yaml.load(b"a: \xff")
