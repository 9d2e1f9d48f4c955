"""One schema that uses everything the subset has, and what a browser sends for it."""

from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

from django.http import QueryDict
from django.template.loader import render_to_string

from marketplace.forms.schema_form import SchemaForm
from marketplace.selectors.form_surroundings import Surroundings


def _node(kind: str, title: str, arabic: str = "", **more: Any) -> dict[str, Any]:
    words = {"title": title, "description": f"About {title}"}
    said = {"x-catalyst-i18n": {"ar": {"title": arabic, "description": f"عن {arabic}"}}} if arabic else {}
    return {"type": kind, **words, **said, **{key.replace("_", "-"): value for key, value in more.items()}}


SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["title", "tone"],
    "properties": {
        "hostname": _node("string", "Web address", format="hostname", x_catalyst_ui_hint="domain-picker"),
        "title": _node("string", "Title", "العنوان", maxLength=20),
        "tone": {
            **_node("string", "Tone", "النبرة", enum=["calm", "loud"]),
            "x-catalyst-i18n": {"ar": {"title": "النبرة", "enum": {"calm": "هادئة", "loud": "عالية"}}},
        },
        "limit": _node("integer", "Limit", minimum=1, maximum=9, default=3, x_catalyst_order=1),
        "ratio": _node("number", "Ratio", x_catalyst_advanced=True),
        "cache": _node("boolean", "Cache", default=False, x_catalyst_restart=True),
        "language": _node("string", "Language", default="en", x_catalyst_immutable=True),
        "tags": {**_node("array", "Tags", maxItems=3, uniqueItems=True), "items": {"type": "string"}},
        "days": {**_node("array", "Days"), "items": {"type": "string", "enum": ["sun", "mon"]}},
        "note": _node("string", "Note", x_catalyst_ui_hint="textarea"),
        "password": _node("string", "Password", minLength=8, x_catalyst_ui_hint="password"),
        "mailer": _node(
            "string", "Mailer", x_catalyst_ui_hint="application-ref", x_catalyst_ui_filter={"blueprint": "bp-mail"}
        ),
        "size": _node("string", "Size", x_catalyst_ui_hint="size-picker"),
        "user": _node("string", "User"),
        "secretUser": _node("string", "Second user"),
        "backup": {**_node("object", "Backup"), "properties": {"every": _node("string", "Every", format="duration")}},
        "mail": {
            **_node("object", "Outgoing mail", "البريد الصادر"),
            "default": {"mode": "none"},
            "oneOf": [
                {"properties": {"mode": {"const": "none", "title": "None"}}, "required": ["mode"]},
                {
                    "properties": {"mode": {"const": "own"}, "server": _node("string", "Server", format="hostname")},
                    "required": ["mode", "server"],
                },
            ],
        },
        "odd": {**_node("array", "Odd"), "items": {"type": "integer"}},
    },
    "dependentRequired": {"user": ["secretUser"]},
}
MONDAY = datetime(2026, 11, 3, 8, tzinfo=UTC)
AROUND = Surroundings(
    default_host="wiki.acme-prod.cloud.example.om",
    applications={"post": "bp-mail", "cache": "bp-redis"},
    secrets={"password": MONDAY},
    has_secret_store=True,
)


def form(
    sent: str | None = None, *, initial: dict[str, Any] | None = None, schema: Any = SCHEMA, **more: Any
) -> SchemaForm:
    """Return the form, bound to what a browser sent (a query string) unless that is None."""
    data = None if sent is None else QueryDict(sent)
    return SchemaForm(schema, initial=initial or {}, data=data, **{"language": "en", "around": AROUND, **more})


def html_of(drawn: SchemaForm) -> str:
    return render_to_string("marketplace/schema_form.html", {"form": drawn})


def sent_by_browser(html: str) -> str:
    """Return what a browser without JavaScript sends when nobody touches anything."""
    reader = _Fields()
    reader.feed(html)
    data = QueryDict(mutable=True)
    for name, value in reader.pairs:
        data.appendlist(name, value)
    return str(data.urlencode())


class _Fields(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.pairs: list[tuple[str, str]] = []
        self._select: list[str] = []
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {key: value or "" for key, value in attrs}
        is_off = said.get("type") in ("radio", "checkbox") and "checked" not in said
        if tag == "input" and "name" in said and not is_off:
            self.pairs.append((said["name"], said.get("value", "on" if said.get("type") == "checkbox" else "")))
        if tag == "select":
            self.pairs.append((said["name"], ""))
        if tag == "option" and "selected" in said:
            self.pairs[-1] = (self.pairs[-1][0], said["value"])
        if tag == "textarea":
            self._text = said["name"]
            self.pairs.append((self._text, ""))

    def handle_endtag(self, tag: str) -> None:
        self._text = "" if tag == "textarea" else self._text

    def handle_data(self, data: str) -> None:
        if self._text:
            self.pairs[-1] = (self._text, self.pairs[-1][1] + data)
