"""The shared pieces of pages: one tag per piece, one template each under ``templates/ui/``.

Pieces that hold text between their tags are block tags; the others are plain tags or filters.
"""

from typing import Any
from urllib.parse import quote

import nh3
from django import template
from django.core.paginator import Page
from django.forms import BoundField, Form
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse, translate_url
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language
from markdown_it import MarkdownIt

from catalyst.core.status import look_of

register = template.Library()

THEMES = ("auto", "light", "dark")
_markdown = MarkdownIt("commonmark", {"html": False})
_MARKDOWN_TAGS = {"p", "ul", "ol", "li", "strong", "em", "code", "pre", "a", "h3", "h4", "blockquote", "br"}


@register.simple_block_tag
def button(
    content: str,
    href: str = "",
    kind: str = "",
    type: str = "submit",
    name: str = "",
    value: str = "",
    label: str = "",
    wide: bool = False,
) -> SafeString:
    """Show a button, or a link that looks like one; ``kind`` is ``primary``, ``danger`` or empty."""
    return render_to_string("ui/button.html", locals())


@register.simple_block_tag
def notice(content: str, kind: str = "info", title: str = "", role: str = "") -> SafeString:
    """Show a message; ``kind`` is ``info``, ``success``, ``warning`` or ``error``."""
    icon = {"success": "check", "warning": "alert", "error": "cross"}.get(kind, "info")
    return render_to_string("ui/notice.html", {**locals()})


@register.simple_block_tag
def card(content: str, title: str = "", id: str = "") -> SafeString:
    """Show a raised panel with an optional heading of level 2."""
    return render_to_string("ui/card.html", locals())


@register.simple_block_tag
def badge(content: str, kind: str = "") -> SafeString:
    """Show a short word about a thing; ``kind`` is ``accent`` or empty."""
    return render_to_string("ui/badge.html", locals())


@register.simple_block_tag
def empty_state(content: str, title: str, icon: str = "search") -> SafeString:
    """Show that there is nothing here, why, and what to do."""
    return render_to_string("ui/empty.html", locals())


@register.simple_tag
def status(key: str, detail: str = "") -> SafeString:
    """Show a status of the vocabulary as icon, word and color; ``detail`` follows the word."""
    return render_to_string("ui/status.html", {"look": look_of(key), "key": key, "detail": detail})


@register.simple_tag
def field(bound: BoundField, hint: str = "") -> SafeString:
    """Show a form field with label, hint and errors, tied together for assistive technology."""
    described = [f"{bound.id_for_label}-hint"] if hint else []
    described += [f"{bound.id_for_label}-error"] if bound.errors else []
    attributes: dict[str, str | bool] = {"aria-describedby": " ".join(described)} if described else {}
    attributes |= {"aria-invalid": "true"} if bound.errors else {}
    context = {"field": bound, "hint": hint, "control": bound.as_widget(attrs=attributes)}
    return render_to_string("ui/field.html", context)


@register.simple_tag
def form_errors(form: Form) -> SafeString:
    """Show what is wrong with a form on top of it, each item linked to its field."""
    return render_to_string("ui/form_errors.html", {"form": form}) if form.errors else mark_safe("")


@register.simple_tag
def stepper(steps: list[dict[str, str]], current: str) -> SafeString:
    """Show where the reader stands; a step has ``key``, ``label`` and, when it may be opened, ``url``."""
    position = next((index for index, step in enumerate(steps) if step["key"] == current), 0)
    return render_to_string("ui/stepper.html", {"steps": steps, "position": position})


@register.simple_block_tag
def row(content: str, label: str, strong: bool = False) -> SafeString:
    """Show one line of a ``<dl class="summary">``."""
    return render_to_string("ui/row.html", locals())


@register.simple_tag(takes_context=True)
def pagination(context: template.Context, page: Page[Any]) -> SafeString:
    """Show links to the neighbors of a page, keeping the rest of the address."""
    return render_to_string("ui/pagination.html", {"page": page, "request": context["request"]})


@register.simple_tag
def icon(name: str, mirrored: bool = False) -> SafeString:
    """Show a symbol of the sprite; ``mirrored`` ones point the other way in right-to-left text."""
    css = "icon icon-mirrored" if mirrored else "icon"
    return format_html('<svg class="{}" aria-hidden="true"><use href="#icon-{}"/></svg>', css, name)


@register.simple_tag
def ltr(value: object) -> SafeString:
    """Show a Latin run (host, code, version, e-mail) that keeps its own direction."""
    return format_html('<bdi dir="ltr">{}</bdi>', value)


@register.simple_tag
def text(row: object, name: str) -> str | SafeString:
    """Show ``<name>_en`` or ``<name>_ar`` by the page's language; English that stands in for Arabic says so."""
    language = get_language() or "en"
    own = getattr(row, f"{name}_{language[:2]}", "")
    fallback = getattr(row, f"{name}_en")
    return own or (fallback if language == "en" else format_html('<bdi lang="en" dir="ltr">{}</bdi>', fallback))


@register.filter
def markdown(source: str) -> SafeString:
    """Render the Markdown of a description: no raw HTML, no pictures, links that give nothing away."""
    return mark_safe(nh3.clean(_markdown.render(source), tags=_MARKDOWN_TAGS))  # noqa: S308  (cleaned right here)


@register.simple_tag
def theme(request: HttpRequest) -> str:
    """Return the reader's choice of theme; anything else in the cookie counts as ``auto``."""
    chosen = request.COOKIES.get("theme", "auto")
    return chosen if chosen in THEMES else "auto"


@register.simple_tag
def logo(svg: str, color: str, title: str, large: bool = False) -> SafeString:
    """Show a thing's picture, or its initial on its color.

    The drawing comes from a database row, so it is shown as an image, in which no script can run.
    """
    drawing = svg or _initial(title, color or "#54615E")
    css = "logo logo-large" if large else "logo"
    source = "data:image/svg+xml," + quote(drawing, safe=" ='/:;,()")
    return format_html('<img class="{}" src="{}" alt="" width="48" height="48" loading="lazy">', css, source)


def _initial(title: str, color: str) -> str:
    return (
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 48 48'>"
        f"<rect width='48' height='48' fill='{escape(color)}'/>"
        "<text x='24' y='32.5' font-family='system-ui,sans-serif' font-size='24' font-weight='600' fill='#fff'"
        f" text-anchor='middle'>{escape(title[:1])}</text></svg>"
    )


@register.simple_tag
def address_in(request: HttpRequest, language: str) -> str:
    """Return this page's address in another language with its query, or nothing when the path does not carry one."""
    if request.resolver_match is None:
        return reverse("home") if language == "en" else translate_url(reverse("home"), language)
    address = request.get_full_path()
    other = translate_url(address, language)
    return other if other != address else ""
