"""What is wrong with a configuration is said where it is mended, in a sentence that says what to do."""

from collections.abc import Mapping
from typing import Any

import pytest

from marketplace.services.configuration_rules import find_problems

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["name", "hostname"],
    "properties": {
        "name": {"type": "string", "maxLength": 5, "pattern": "^[a-z]+$"},
        "hostname": {"type": "string", "format": "hostname", "x-catalyst-ui-hint": "domain-picker"},
        "count": {"type": "integer", "minimum": 1, "maximum": 9},
        "tags": {"type": "array", "items": {"type": "string"}, "minItems": 2},
        "password": {"type": "string", "x-catalyst-ui-hint": "password"},
        "user": {"type": "string"},
        "mail": {
            "type": "object",
            "required": ["hostname"],
            "properties": {"hostname": {"type": "string", "x-catalyst-ui-hint": "domain-picker"}},
            "oneOf": [
                {"properties": {"mode": {"const": "none"}}, "required": ["mode"]},
                {"properties": {"mode": {"const": "own"}, "ref": {"type": "string"}}, "required": ["mode", "ref"]},
            ],
        },
    },
    "dependentRequired": {"user": ["password", "count"]},
}
SECRET = "A secret is never written into a configuration. Give its name instead, as secret: mailPassword."


def problems(values: Any, hosts: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    return [(problem.place, problem.message) for problem in find_problems(SCHEMA, values, hosts=hosts)]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, [("name", "Fill this in.")]),
        ({"name": "a", "count": 0}, [("count", "Enter 1 or more.")]),
        ({"name": "a", "count": 1.5}, [("count", "Enter a whole number, without a fraction.")]),
        ({"name": "a", "count": True}, [("count", "Enter a whole number.")]),
        ({"name": "A"}, [("name", "Write this in the form that its description asks for.")]),
        ({"name": "a\u0000"}, [("name", "Remove the characters that cannot be shown.")]),
        ({"name": "a", "tags": ["\ud800", "b"]}, [("tags.0", "Remove the characters that cannot be shown.")]),
        ({"name": "a", "tags": ["one"]}, [("tags", "Give at least 2 entries.")]),
        ({"name": "a", "tags": ["one", 2]}, [("tags.1", "Write a text here.")]),
        ({"name": "a", "color": 1, "size": 2}, [("", "Remove color, size: there is no such setting here.")]),
        ({"name": "a", "password": "plain"}, [("password", SECRET)]),
        ({"name": "a", "password": {"secret": "x", "value": "plain"}}, [("password", SECRET)]),
        (
            {"name": "a", "user": "ali"},
            [(name, "Fill this in too: another setting needs it.") for name in ("count", "password")],
        ),
        ({"name": "a", "mail": {"mode": "own"}}, [("mail.ref", "Fill this in.")]),
        ({"name": "a", "mail": {"mode": "own", "ref": 7}}, [("mail.ref", "Write a text here.")]),
        ({"name": "a", "mail": {"mode": "none", "ref": "x"}}, [("mail", "Remove ref: there is no such setting here.")]),
        ({"name": "a", "mail": {"mode": "pigeon"}}, [("mail", "Choose one of these: none, own.")]),
        ({"name": "a", "mail": 7}, [("mail", "Write a group of settings here.")]),
        ([], [("", "Write a group of settings here.")]),
    ],
)
def test_each_problem_once_at_its_place(values: Any, said: list[tuple[str, str]]) -> None:
    assert problems(values) == said


def test_a_host_needs_proof_wherever_it_stands() -> None:
    values = {"name": "a", "hostname": "bank.om", "mail": {"mode": "none", "hostname": "mail.bank.om"}}

    assert problems(values) == [
        ("hostname", "Leave this empty: bank.om is not proven to be yours."),
        ("mail.hostname", "Leave this empty: mail.bank.om is not proven to be yours."),
    ]
    assert problems(values, hosts=("bank.om", "mail.bank.om")) == []


@pytest.mark.parametrize("secret", [{"secret": "mailPassword"}, {"secret": "app", "key": "password"}])
def test_a_secret_is_a_name(secret: dict[str, str]) -> None:
    assert problems({"name": "a", "password": secret}) == []


def test_an_application_that_is_named_must_run_and_be_of_the_kind_asked_for() -> None:
    node = {"type": "string", "x-catalyst-ui-hint": "application-ref", "x-catalyst-ui-filter": {"blueprint": "bp-sql"}}
    schema = {"type": "object", "properties": {"place": {"type": "object", "properties": {"db": node}}}}
    running = {"shared-sql": "bp-sql", "blog": "bp-blog", "sql-2": "bp-sql"}

    def said(name: str, applications: Mapping[str, str] | None) -> list[tuple[str, str, str]]:
        found = find_problems(schema, {"place": {"db": name}}, applications=applications)
        return [(each.place, each.keyword, each.message) for each in found]

    choose = ("place.db", "application-ref", "Choose one of these: shared-sql, sql-2.")
    nothing = "Leave this empty: no Application that could stand here runs in this Environment."
    assert [said(name, running) for name in ("sql-2", "blog", "gone")] == [[], [choose], [choose]]
    assert said("blog", {"blog": "bp-blog"}) == [("place.db", "application-ref", nothing)]
    assert said("gone", None) == []
