"""What all pages of the sandbox share: head, language, and a strict content security policy."""

from html import escape
from http import HTTPStatus
from urllib.parse import urlsplit

from catalyst.local.sandbox_stripe.wire import Reply
from catalyst.local.sandbox_stripe.words import LANGUAGES

STYLE_PATH = "/pay/style.css"


def notice(language: str, name: str, status: HTTPStatus, back_url: str | None = None) -> Reply:
    """Return a page that says one thing, with a way back."""
    words = LANGUAGES[language]
    link = f'<p><a href="{escape(back_url)}">{words["back"]}</a></p>' if back_url else ""
    return page(language, words[f"{name}_title"], f"<p>{words[f'{name}_text']}</p>{link}", status)


def page(language: str, title: str, content: str, status: HTTPStatus, leads_to: list[str] | None = None) -> Reply:
    """Return a page; ``leads_to`` are the addresses that its form may send the reader to."""
    words = LANGUAGES[language]
    direction, other = ("rtl", "en") if language == "ar" else ("ltr", "ar")
    html = f"""<!doctype html>
<html lang="{language}" dir="{direction}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · {words["sandbox"]}</title><link rel="stylesheet" href="{STYLE_PATH}"></head>
<body><header><strong>{words["sandbox"]}</strong> <span>{words["sandbox_text"]}</span></header>
<main><nav><a href="?language={other}" hreflang="{other}" lang="{other}">{words["other_language"]}</a></nav>
<h1>{title}</h1>
{content}
</main></body></html>
"""
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Language": language,
        "Content-Security-Policy": _policy(leads_to or []),
        "Vary": "Accept-Language",
    }
    return Reply(status, html.encode(), {**headers, **_SAFE})


_SAFE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"}


def _policy(leads_to: list[str]) -> str:
    # Chromium applies form-action to the redirect that follows a form, so the shop's origin must be in it.
    parts = [urlsplit(url) for url in leads_to if url]
    origins = sorted({f"{part.scheme}://{part.netloc}" for part in parts})
    allowed = " ".join(["'self'", *origins])
    return f"default-src 'none'; style-src 'self'; form-action {allowed}; base-uri 'none'; frame-ancestors 'none'"


def redirect(url: str) -> Reply:
    """Send the reader to another address."""
    return Reply(HTTPStatus.SEE_OTHER, b"", {"Location": url, **_SAFE})
