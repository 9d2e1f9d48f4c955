"""The card page: plain HTML without scripts, under a strict content security policy."""

from html import escape
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from catalyst.core.money import Money
from catalyst.local.sandbox_stripe.account import Account
from catalyst.local.sandbox_stripe.payment import NotOpen, find_open, pay_session, run_due
from catalyst.local.sandbox_stripe.style import STYLE
from catalyst.local.sandbox_stripe.wire import Json, Reply, Request
from catalyst.local.sandbox_stripe.words import LANGUAGES, choose_language

PREFIX = "/pay/"
_STYLE_PATH = PREFIX + "style.css"


def answer_page(account: Account, request: Request) -> Reply:
    """Show a session's card page, or do what its customer pressed."""
    if request.path == _STYLE_PATH:
        return Reply(HTTPStatus.OK, STYLE.encode(), {"Content-Type": "text/css; charset=utf-8"})
    run_due(account)
    session = account.store.get("checkout.session", request.path.removeprefix(PREFIX).rstrip("/"))
    language = _language(request, session)
    if session is None:
        return _notice(language, "missing", HTTPStatus.NOT_FOUND)
    if request.method == "POST":
        return _act(account, session, request, language)
    return _show(session, language)


def _language(request: Request, session: Json | None) -> str:
    wanted = parse_qs(request.query).get("language", [""])[0]
    locale = session["locale"] if session else None
    return choose_language(wanted, locale, request.headers.get("accept-language", ""))


def _act(account: Account, session: Json, request: Request, language: str) -> Reply:
    action = parse_qs(request.body.decode("utf-8", "replace")).get("action", [""])[0]
    try:
        if action in ("pay", "later"):
            session = pay_session(account, session["id"], is_async=action == "later")
            return _redirect(session["success_url"].replace("{CHECKOUT_SESSION_ID}", session["id"]))
        find_open(account, session["id"])
    except NotOpen:
        return _show(account.find("checkout.session", session["id"]), language)
    if action == "cancel" and session["cancel_url"]:
        # As with Stripe, going back leaves the session open: the shop decides whether it is closed.
        return _redirect(session["cancel_url"])
    return _show(session, language, is_declined=action == "decline")


def _show(session: Json, language: str, *, is_declined: bool = False) -> Reply:
    if session["status"] == "complete":
        url = session["success_url"].replace("{CHECKOUT_SESSION_ID}", session["id"])
        return _notice(language, "complete", HTTPStatus.OK, url)
    if session["status"] == "expired":
        return _notice(language, "expired", HTTPStatus.GONE, session["cancel_url"])
    words = LANGUAGES[language]
    total = _money(session["amount_total"], session["currency"], language)
    alert = f'<p class="alert" role="alert"><strong>{words["problem"]}.</strong> {words["declined"]}</p>'
    content = f"""{alert if is_declined else ""}
{_table(session, language)}
<form method="post" action="?language={language}">
<button class="primary" name="action" value="pay">{words["pay"].format(total=total)}</button>
<button name="action" value="later">{words["asynchronous"]}</button>
<button name="action" value="decline">{words["decline"]}</button>
{f'<button name="action" value="cancel">{words["cancel"]}</button>' if session["cancel_url"] else ""}
</form>"""
    status = HTTPStatus.PAYMENT_REQUIRED if is_declined else HTTPStatus.OK
    return _page(language, words["title"], content, status, [session["success_url"], session["cancel_url"] or ""])


def _table(session: Json, language: str) -> str:
    words, currency = LANGUAGES[language], session["currency"]
    rows = "".join(
        f'<tr><th scope="row">{escape(line["description"])}{_interval(line, words)}</th><td>{line["quantity"]}</td>'
        f'<td class="amount">{_money(line["amount_subtotal"], currency, language)}</td></tr>'
        for line in session["_line_items"]
    )
    foot = [("due", session["amount_total"])]
    if discount := session["total_details"]["amount_discount"]:
        foot = [("subtotal", session["amount_subtotal"]), ("after_discount", -discount), *foot]
    sums = "".join(
        f'<tr class="{name}"><th scope="row" colspan="2">{words[name]}</th>'
        f'<td class="amount">{_money(amount, currency, language)}</td></tr>'
        for name, amount in foot
    )
    head = "".join(f'<th scope="col">{words[name]}</th>' for name in ("item", "quantity", "price"))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody><tfoot>{sums}</tfoot></table>"


def _interval(line: Json, words: dict[str, str]) -> str:
    recurring = line["price"]["recurring"]
    return f" <small>{words['every_' + recurring['interval']]}</small>" if recurring else ""


def _money(amount: int, currency: str, language: str) -> str:
    return f"<bdi>{escape(Money(amount, currency.upper()).format(language))}</bdi>"


def _notice(language: str, name: str, status: HTTPStatus, back_url: str | None = None) -> Reply:
    words = LANGUAGES[language]
    link = f'<p><a href="{escape(back_url)}">{words["back"]}</a></p>' if back_url else ""
    return _page(language, words[f"{name}_title"], f"<p>{words[f'{name}_text']}</p>{link}", status)


def _page(language: str, title: str, content: str, status: HTTPStatus, leads_to: list[str] | None = None) -> Reply:
    words = LANGUAGES[language]
    direction, other = ("rtl", "en") if language == "ar" else ("ltr", "ar")
    html = f"""<!doctype html>
<html lang="{language}" dir="{direction}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · {words["sandbox"]}</title><link rel="stylesheet" href="{_STYLE_PATH}"></head>
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


def _redirect(url: str) -> Reply:
    return Reply(HTTPStatus.SEE_OTHER, b"", {"Location": url, **_SAFE})
