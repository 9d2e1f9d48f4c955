"""A form made from a schema reads what a browser sends as typed values, and writes only what somebody chose."""

from typing import Any
from urllib.parse import urlencode

import pytest

from tests.marketplace.schema_cases import SCHEMA, form, html_of, sent_by_browser

NEEDED = {"config.title": "Books", "config.tone": "calm"}
FULL: dict[str, Any] = {
    "title": "Books",
    "tone": "loud",
    "limit": 4,
    "ratio": 7,
    "cache": True,
    "tags": ["a", "b"],
    "days": ["mon"],
    "note": "One\nTwo",
    "password": {"secret": "password"},
    "mailer": "post",
    "size": "medium",
    "user": "ali",
    "secretUser": "sara",
    "backup": {"every": "12h"},
    "mail": {"mode": "own", "server": "mail.example.om"},
    "odd": [1, 2],
}


def sent(*names: str, **changes: Any) -> str:
    """Return what is needed and some more: ``limit="4"`` stands for the field ``config.limit``."""
    more = {f"config.{name.replace('__', '.')}": value for name, value in changes.items()}
    return urlencode({**NEEDED, **more}, doseq=True)


def test_what_nobody_touches_is_sent_back_as_it_was() -> None:
    drawn = form(initial=FULL)

    back = form(sent_by_browser(html_of(drawn)), initial=FULL)

    assert (back.errors, back.values) == ({}, FULL)


def test_nothing_but_what_was_chosen_is_written() -> None:
    back = form(sent_by_browser(html_of(form())) + "&" + sent())

    assert (back.errors, back.values) == ({}, {"title": "Books", "tone": "calm"})


@pytest.mark.parametrize(
    ("field", "typed", "value"),
    [
        ("limit", "4", 4),
        ("limit", " ٤ ", 4),
        ("ratio", "-2", -2),
        ("cache", "on", True),
        ("tags", "a\r\n\r\n b \r\n", ["a", "b"]),
        ("days", ["sun", "mon"], ["sun", "mon"]),
        ("note", "One\r\n Two ", "One\n Two "),
        ("mailer", "post", "post"),
        ("size", "large", "large"),
        ("odd", "[1, 2]", [1, 2]),
        ("title", "  Manuals ", "Manuals"),
    ],
)
def test_values_have_the_type_of_their_schema(field: str, typed: Any, value: Any) -> None:
    back = form(sent(**{field: typed}))

    assert back.errors == {}
    assert back.values[field] == value
    assert type(back.values[field]) is type(value)


def test_a_default_is_written_only_where_it_was_written_before() -> None:
    assert "limit" not in form(sent(limit="3")).values
    assert form(sent(limit="3"), initial={"limit": 3}).values["limit"] == 3
    assert form(sent(limit=""), initial={"limit": 4}).values == {"title": "Books", "tone": "calm"}


def test_an_unticked_box_is_no() -> None:
    assert form(sent(), initial={"cache": True}).values["cache"] is False
    assert "cache" not in form(sent()).values


def test_only_the_chosen_branch_is_read() -> None:
    fields = {"mail__~": "none", "mail__~1__server": "mail.example.om"}

    assert "mail" not in form(sent(**fields)).values
    assert form(sent(**{**fields, "mail__~": "own"})).values["mail"] == {"mode": "own", "server": "mail.example.om"}


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"title": " "}, "config.title", "Fill this in."),
        ({"title": "x" * 21}, "config.title", "Write at most 20 characters."),
        ({"tone": ""}, "config.tone", "Fill this in."),
        ({"tone": "odd"}, "config.tone", "Choose one of these: calm, loud."),
        ({"limit": "four"}, "config.limit", "Enter a whole number."),
        ({"limit": "1e3"}, "config.limit", "Enter a whole number."),
        ({"limit": "10"}, "config.limit", "Enter 9 or less."),
        ({"limit": "0"}, "config.limit", "Enter 1 or more."),
        ({"ratio": "2.5"}, "config.ratio", "Enter a whole number, without a fraction."),
        ({"ratio": "٢٫٥"}, "config.ratio", "Enter a whole number, without a fraction."),
        ({"ratio": "NaN"}, "config.ratio", "Enter a number."),
        ({"tags": "a\nb\nc\nd"}, "config.tags", "Give at most 3 entries."),
        ({"tags": "a\na"}, "config.tags", "Name each entry once."),
        ({"days": ["fri"]}, "config.days", "Choose one of these: sun, mon."),
        ({"mailer": "cache"}, "config.mailer", "Choose one of the list."),
        ({"size": "huge"}, "config.size", "Choose one of the list."),
        ({"hostname": "www.example.om"}, "config.hostname", "Choose a host that is proven to be yours."),
        ({"user": "ali"}, "config.secretUser", "Fill this in too: another setting needs it."),
        ({"backup__every": "soon"}, "config.backup.every", "Enter a duration like 90d, 12h, 30m or 45s."),
        ({"mail__~": "own"}, "config.mail.~1.server", "Fill this in."),
        ({"mail__~": "pigeon"}, "config.mail", "Choose one of these: none, own."),
        ({"odd": "[1"}, "config.odd", "This is no YAML that can be read: Line 2: did not find expected ',' or ']'"),
        ({"odd": "[one]"}, "config.odd", "Enter a whole number."),
        ({"password": "short"}, "config.password", "Write at least 8 characters."),
    ],
)
def test_what_does_not_fit_is_said_at_its_field(changes: dict[str, Any], field: str, message: str) -> None:
    back = form(sent(**changes))

    assert back.errors == {field: [message]}
    assert not back.is_valid()
    html = html_of(back)
    assert message in html.replace("&#x27;", "'")


def test_what_was_typed_is_shown_again_except_secrets() -> None:
    back = form(sent(title="x" * 21, password="Canary-4711", limit="four", **{"mail__~": "own"}))

    html = html_of(back)
    assert f'value="{"x" * 21}"' in html
    assert 'value="four"' in html
    assert "Canary" not in html
    assert 'name="config.mail.~" value="own" checked' in html


def test_a_secret_is_a_name_in_the_configuration_and_a_value_for_its_service() -> None:
    back = form(sent(password=" Canary-4711 "))

    assert back.values["password"] == {"secret": "password"}
    assert back.secrets == {"password": " Canary-4711 "}
    kept = form(sent(), initial={"password": {"secret": "password"}})
    assert (kept.values["password"], kept.secrets) == ({"secret": "password"}, {})


def test_what_the_schema_does_not_know_any_more_is_left_out() -> None:
    old = {"color": "red", "mail": {"mode": "own", "server": "a.om", "port": 25}}

    back = form(sent(**{"mail__~": "own", "mail__~1__server": "a.om"}), initial=old)

    assert (back.errors, back.values["mail"]) == ({}, {"mode": "own", "server": "a.om"})
    assert "color" not in back.values


def test_what_is_immutable_stays_whatever_is_sent() -> None:
    back = form(sent(language="ar"), initial={"language": "fr"}, is_installed=True)

    assert (back.errors, back.values["language"]) == ({}, "fr")
    assert form(sent(language="ar")).values["language"] == "ar"


def test_a_root_with_branches() -> None:
    schema = {"type": "object", "properties": {}, "oneOf": SCHEMA["properties"]["mail"]["oneOf"]}

    assert form("config.~=none", schema=schema).values == {"mode": "none"}
    assert form("", schema=schema).errors == {"__all__": ["Choose one of these: none, own."]}
    assert form("config.~=own&config.~1.server=a.om", schema=schema).values == {"mode": "own", "server": "a.om"}
