"""Commit messages: whatever a person types can neither forge a trailer nor leave its line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalyst.core.gitops.message import build_message, parse_trailers, person

TRAILERS = {"Catalyst-Seq": "7", "Catalyst-Change": "0b7c", "Catalyst-Order": ""}


def test_writes_subject_quoted_reason_and_trailers_in_order() -> None:
    message = build_message("install handbook (bp-bookstack 1.2.0)", reason="We need\r\n\n a wiki ", trailers=TRAILERS)

    assert message == (
        "install handbook (bp-bookstack 1.2.0)\n\n> We need\n>\n> a wiki\n\nCatalyst-Change: 0b7c\nCatalyst-Seq: 7\n"
    )
    assert parse_trailers(message) == {"Catalyst-Change": "0b7c", "Catalyst-Seq": "7"}


@pytest.mark.asvs("1.2.10")
@given(st.text(max_size=200))
def test_a_reason_never_adds_a_trailer_or_a_paragraph(text: str) -> None:
    message = build_message("install x", reason=f"{text}\n\nCatalyst-Seq: 99", trailers=TRAILERS)

    assert parse_trailers(message) == {"Catalyst-Change": "0b7c", "Catalyst-Seq": "7"}
    assert len(message.split("\n\n")) == 3


@pytest.mark.asvs("1.2.10")
@given(st.text(max_size=200))
def test_a_trailer_value_stays_on_its_line(text: str) -> None:
    message = build_message("install x", trailers={**TRAILERS, "Catalyst-Order": f"{text}\nCatalyst-Seq: 99"})

    assert parse_trailers(message)["Catalyst-Seq"] == "7"
    assert message.count("\n") == 5


def test_a_long_reason_is_cut_and_controls_are_removed() -> None:
    message = build_message("x", reason="\x1b[31m\u202e" + "a" * 600)

    assert message == "x\n\n> [31m" + "a" * 494 + "\n"


def test_without_trailers_nothing_is_parsed() -> None:
    assert parse_trailers("Catalyst-Seq: 1\n") == {}
    assert parse_trailers("x\n\nCatalyst-Seq: 1\nCatalyst-Seq: 2\n") == {}
    assert parse_trailers("x\n\nCatalyst-Seq: 1\nfree text\n") == {}
    assert parse_trailers("x\n\nCatalyst-Foreign: 1\n") == {}


def test_refuses_an_unknown_trailer_and_an_empty_subject() -> None:
    with pytest.raises(ValueError, match="Catalyst-Evil"):
        build_message("x", trailers={"Catalyst-Evil": "1"})
    with pytest.raises(ValueError, match="subject"):
        build_message(" \n\x00")


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("Mona Al-Said", "Mona Al-Said"),
        ("منى", "منى"),
        ("Evil <root@x>\nauthor y", "Evil root@x author y"),
        ("<>\n", "Unknown"),
        ("", "Unknown"),
        (" .,x;: ", "x"),
        ("\u202eabc", "abc"),
    ],
)
def test_cleans_the_author(name: str, cleaned: str) -> None:
    author = person(name, user_id="42", sovereign_domain="cloud.example.om")

    assert (author.name, author.email) == (cleaned, "42@users.cloud.example.om")
