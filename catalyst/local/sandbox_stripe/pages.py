"""The card page: plain HTML without scripts. It takes a payment, or saves a card."""

from html import escape
from http import HTTPStatus
from urllib.parse import parse_qs

from catalyst.core.money import Money
from catalyst.local.sandbox_stripe.account import Account
from catalyst.local.sandbox_stripe.due import run_due
from catalyst.local.sandbox_stripe.payment import NotOpen, find_open, pay_session
from catalyst.local.sandbox_stripe.shell import STYLE_PATH, notice, page, redirect
from catalyst.local.sandbox_stripe.style import STYLE
from catalyst.local.sandbox_stripe.wire import Json, Reply, Request
from catalyst.local.sandbox_stripe.words import LANGUAGES, choose_language

PREFIX = "/pay/"


def answer_page(account: Account, request: Request) -> Reply:
    """Show a session's card page, or do what its customer pressed."""
    if request.path == STYLE_PATH:
        return Reply(HTTPStatus.OK, STYLE.encode(), {"Content-Type": "text/css; charset=utf-8"})
    run_due(account)
    session = account.store.get("checkout.session", request.path.removeprefix(PREFIX).rstrip("/"))
    language = _language(request, session)
    if session is None:
        return notice(language, "missing", HTTPStatus.NOT_FOUND)
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
            return redirect(session["success_url"].replace("{CHECKOUT_SESSION_ID}", session["id"]))
        find_open(account, session["id"])
    except NotOpen:
        return _show(account.find("checkout.session", session["id"]), language)
    if action == "cancel" and session["cancel_url"]:
        # As with Stripe, going back leaves the session open: the shop decides whether it is closed.
        return redirect(session["cancel_url"])
    return _show(session, language, is_declined=action == "decline")


def _show(session: Json, language: str, *, is_declined: bool = False) -> Reply:
    if session["status"] == "complete":
        url = session["success_url"].replace("{CHECKOUT_SESSION_ID}", session["id"])
        return notice(language, "saved" if session["mode"] == "setup" else "complete", HTTPStatus.OK, url)
    if session["status"] == "expired":
        return notice(language, "expired", HTTPStatus.GONE, session["cancel_url"])
    words = LANGUAGES[language]
    saves = session["mode"] == "setup"
    alert = f'<p class="alert" role="alert"><strong>{words["problem"]}.</strong> {words["declined"]}</p>'
    content = f"""{alert if is_declined else ""}
{f"<p>{words['save_text']}</p>" if saves else _table(session, language)}
<form method="post" action="?language={language}">
{_save_buttons(words) if saves else _pay_buttons(session, language)}
{f'<button name="action" value="cancel">{words["cancel"]}</button>' if session["cancel_url"] else ""}
</form>"""
    status = HTTPStatus.PAYMENT_REQUIRED if is_declined else HTTPStatus.OK
    title = words["save_title" if saves else "title"]
    return page(language, title, content, status, [session["success_url"], session["cancel_url"] or ""])


def _pay_buttons(session: Json, language: str) -> str:
    words = LANGUAGES[language]
    total = _money(session["amount_total"], session["currency"], language)
    return f"""<button class="primary" name="action" value="pay">{words["pay"].format(total=total)}</button>
<button name="action" value="later">{words["asynchronous"]}</button>
<button name="action" value="decline">{words["decline"]}</button>"""


def _save_buttons(words: dict[str, str]) -> str:
    return f"""<button class="primary" name="action" value="pay">{words["save"]}</button>
<button name="action" value="decline">{words["save_decline"]}</button>"""


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
