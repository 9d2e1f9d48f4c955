"""A configuration is judged by its schema alone, the same way for forms, the API, Git and the linter."""

from typing import Any

import pytest

from marketplace.selectors.resolver.conditions import default_values
from marketplace.services.blueprint_contract.config_values import check_values

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "maxLength": 20},
        "count": {"type": "integer", "minimum": 1, "default": 3},
        "host": {"type": "string", "format": "hostname"},
        "every": {"type": "string", "format": "cron"},
        "wait": {"type": "string", "format": "duration"},
        "home": {"type": "string", "format": "uri"},
        "person": {"type": "string", "format": "email"},
        "secret": {"type": "string", "x-catalyst-ui-hint": "password"},
        "more": {"type": "object", "properties": {"deep": {"type": "boolean", "default": True}}},
        "mail": {
            "type": "object",
            "oneOf": [
                {"properties": {"mode": {"const": "none"}}, "required": ["mode"]},
                {"properties": {"mode": {"const": "own"}, "ref": {"type": "string"}}, "required": ["mode", "ref"]},
            ],
        },
    },
}


@pytest.mark.parametrize(
    "values",
    [
        {"name": "a"},
        {"name": "a", "count": 1, "host": "a.example.om", "every": "*/5 3 * * 1-5", "wait": "90d"},
        {"name": "a", "home": "https://example.om/x", "person": "it@example.om"},
        {"name": "a", "secret": {"secret": "app", "key": "password"}},
        {"name": "a", "mail": {"mode": "none"}},
        {"name": "a", "mail": {"mode": "own", "ref": "mailer"}},
    ],
)
def test_accepts(values: dict[str, Any]) -> None:
    assert check_values(SCHEMA, values) == []


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({}, ""),
        ([], ""),
        ({"name": "a", "unknown": 1}, ""),
        ({"name": "a", "count": True}, "count"),
        ({"name": "a", "count": 1.5}, "count"),
        ({"name": "a", "count": float("nan")}, "count"),
        ({"name": "a", "host": "-a.om"}, "host"),
        ({"name": "a", "host": "a.om\n"}, "host"),
        ({"name": "a", "every": "* * * *"}, "every"),
        ({"name": "a", "wait": "0d"}, "wait"),
        ({"name": "a", "home": "javascript:alert(1)"}, "home"),
        ({"name": "a", "person": "it@"}, "person"),
        ({"name": "a", "secret": "swordfish"}, "secret"),
        ({"name": "a", "more": {"other": 1}}, "more"),
        ({"name": "a", "mail": {"mode": "none", "ref": "x"}}, "mail"),
        ({"name": "a", "mail": {"mode": "own"}}, "mail"),
        ({"name": "a" * 70_000}, "name"),
    ],
)
def test_refuses_and_names_the_place(values: Any, path: str) -> None:
    assert path in {problem.path for problem in check_values(SCHEMA, values)}


def test_fills_in_what_nobody_gave() -> None:
    assert default_values(SCHEMA) == {"count": 3, "more": {"deep": True}}
