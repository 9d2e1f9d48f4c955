"""Conditions of dependencies: a table of (text, configuration, verdict), and what is refused."""

from typing import Any

import pytest

from marketplace.selectors.resolver.conditions import ConditionRefused, parse_condition


@pytest.mark.parametrize(
    ("text", "config", "verdict"),
    [
        ("{{ .config.cache == true }}", {"cache": True}, True),
        (".config.cache == true", {"cache": False}, False),
        (".config.cache == true", {}, False),
        (".config.cache != true", {}, True),
        (".config.cache == true", {"cache": 1}, False),
        (".config.count == 1", {"count": True}, False),
        (".config.count == -3", {"count": -3}, True),
        (".config.mail.mode == 'none'", {"mail": {"mode": "none"}}, True),
        (".config.mail.mode == 'none'", {"mail": "none"}, False),
        ('.config.size in ["small", "large"]', {"size": "large"}, True),
        ('.config.size in ["small", "large"]', {"size": "medium"}, False),
        (".config.aa == true or .config.bb == true and .config.cc == true", {"aa": True}, True),
        ("(.config.aa == true or .config.bb == true) and .config.cc == true", {"aa": True}, False),
        ("not .config.aa == true and .config.bb == true", {"bb": True}, True),
        ("not (.config.aa == true or .config.bb == true)", {"bb": True}, False),
        ("not not .config.aa == true", {"aa": True}, True),
        ('.config.name == "or ) and"', {"name": "or ) and"}, True),
    ],
)
def test_decides(text: str, config: dict[str, Any], verdict: bool) -> None:
    assert parse_condition(text).holds(config) is verdict


@pytest.mark.parametrize(
    "text",
    [
        *("", "{{ }}", "true", ".config", ".config.", ".config.aa", ".values.aa == true", "config.aa == true"),
        *(".config.aa = true", ".config.aa == true)", "(.config.aa == true", ".config.aa == yes", ".config.aa == 1.5"),
        *(".config.aa == 1x", ".config.aa in []", '.config.aa in ["a",]', ".config.aa == .config.bb", "not"),
        *(
            ".config.aa == true .config.bb == true",
            ".config.aa == `id`",
            "{{ .config.aa == true }} }}",
            "{{ a }}{{ b }}",
        ),
        *('.config.aa == "a\\"', ".config.aa == true or", "{{ .config.aa | quote == true }}", "$(.config.aa == true)"),
        *("not " * 12 + ".config.aa == true", "(" * 12 + ".config.aa == true" + ")" * 12, " " * 301),
    ],
)
def test_refuses_what_is_not_in_the_language(text: str) -> None:
    with pytest.raises(ConditionRefused):
        parse_condition(text)


def test_names_the_paths_that_it_reads() -> None:
    condition = parse_condition("not (.config.aa == 1 or .config.mail.mode in ['a']) and .config.aa != 2")

    assert condition.paths() == {("aa",), ("mail", "mode")}
