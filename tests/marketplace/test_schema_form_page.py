"""How a form made from a schema is drawn: words, order, ties between elements, and nothing that runs."""

import re
from dataclasses import replace
from typing import Any

from tests.marketplace.schema_cases import AROUND, SCHEMA, form, html_of


def plain(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_required_first_then_by_order_and_the_advanced_folded() -> None:
    html = html_of(form())

    places = [html.index(f'"config.{name}"') for name in ("title", "tone", "limit", "cache", "ratio")]
    assert places == sorted(places)
    assert html.index("<details") < html.index('"config.ratio"') < html.index("</details>")


def test_current_and_default_values_are_shown() -> None:
    html = html_of(form(initial={"title": "Books", "tone": "loud", "cache": True}))

    assert 'name="config.title" value="Books"' in html
    assert 'name="config.tone" value="loud" checked' in html
    assert 'name="config.cache" checked' in html
    for text in ("Default: 3", "Default: No", "Default: en", "From 1 to 9", "A change restarts the Application."):
        assert text in plain(html), text


def test_words_are_those_of_the_language() -> None:
    html = html_of(form(language="ar"))

    for text in ("العنوان", "عن العنوان", "هادئة", "عالية", "البريد الصادر"):
        assert text in html, text
    assert "About Limit" in html


def test_what_is_around_is_offered() -> None:
    html = html_of(form(around=replace(AROUND, hosts=("www.example.om",))))

    assert '<option value="www.example.om">' in html
    assert 'name="config.mailer" value="post"' in html
    assert 'name="config.mailer" value="cache"' not in html
    assert "Set on 3 Nov 2026. It is never shown." in plain(html)


def test_without_proof_there_is_only_the_address_of_the_platform() -> None:
    html = html_of(form())

    assert "config.hostname" in html
    assert 'name="config.hostname"' not in html
    assert "wiki.acme-prod.cloud.example.om" in html


def test_without_a_secret_store_there_is_no_field_for_a_secret() -> None:
    html = html_of(form(around=replace(AROUND, has_secret_store=False)))

    assert 'type="password"' not in html
    assert "Secrets cannot be set here yet" in html
    back = form("config.password=Canary-4711", around=replace(AROUND, has_secret_store=False))
    assert back.errors["config.password"] == ["This cannot be set here yet. Leave it empty."]
    assert back.secrets == {}


def test_a_required_secret_without_a_store_says_why_it_cannot_be_had() -> None:
    schema = {"type": "object", "required": ["password"], "properties": {"password": SCHEMA["properties"]["password"]}}

    back = form("", schema=schema, around=replace(AROUND, has_secret_store=False))

    message = "This needs a secret, and secrets cannot be set here yet. Choose another app."
    assert back.errors == {"config.password": [message]}


def test_every_element_is_tied_to_its_words() -> None:
    for drawn in (form(), form("config.mail.~=own")):
        html = html_of(drawn)
        ids = re.findall(r' id="([^"]+)"', html)
        assert sorted(ids) == sorted(set(ids))
        assert set(re.findall(r' for="([^"]+)"', html)) <= set(ids)
        described = " ".join(re.findall(r'aria-describedby="([^"]+)"', html)).split()
        assert set(described) <= set(ids)
        assert "<script" not in html
        assert not re.search(r'\s(style|on\w+)="', html)


def test_hostile_words_of_a_blueprint_stay_words() -> None:
    evil = '"><script>alert(1)</script>'
    node: dict[str, Any] = {"type": "string", "title": evil, "description": evil, "enum": [evil, "b"], "default": evil}

    html = html_of(form(schema={"type": "object", "properties": {"a": node, evil: {"type": "string"}}}))

    assert "<script" not in html


def test_the_links_of_the_summary_lead_somewhere() -> None:
    back = form("config.mail.~=own&config.backup.every=soon&config.days=fri&config.limit=10")

    html = html_of(back)
    wrong = [line.id_for_label for line in back]
    fields = ["title", "tone", "limit", "days", "backup.every", "mail.~1.server"]
    assert wrong == [f"id_config.{name}" for name in fields]
    assert all(f'id="{target}"' in html for target in wrong)
    assert [line.errors for line in back][:2] == [["Title: Fill this in."], ["Tone: Fill this in."]]
