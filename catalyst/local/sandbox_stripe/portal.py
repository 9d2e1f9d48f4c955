"""The billing portal: the saved cards of a customer, a switch that breaks them, and a way back."""

from html import escape
from http import HTTPStatus
from urllib.parse import parse_qs

from catalyst.local.sandbox_stripe.account import Account
from catalyst.local.sandbox_stripe.shell import notice, page
from catalyst.local.sandbox_stripe.wire import Json, Reply, Request
from catalyst.local.sandbox_stripe.words import LANGUAGES, choose_language

PORTAL = "/portal/"


def answer_portal(account: Account, request: Request) -> Reply:
    """Show a customer's portal, or let their cards fail or work from now on."""
    wanted = parse_qs(request.query).get("language", [""])[0]
    session = account.store.get("billing_portal.session", request.path.removeprefix(PORTAL).rstrip("/"))
    locale = session["locale"] if session else None
    language = choose_language(wanted, locale, request.headers.get("accept-language", ""))
    if session is None:
        return notice(language, "missing", HTTPStatus.NOT_FOUND)
    with account.store.transaction():
        customer = account.find("customer", session["customer"])
        if request.method == "POST":
            action = parse_qs(request.body.decode("utf-8", "replace")).get("action", [""])[0]
            account.save(customer, _declines=action == "decline")
    return page(
        language, LANGUAGES[language]["portal_title"], _content(account, session, customer, language), HTTPStatus.OK
    )


def _content(account: Account, session: Json, customer: Json, language: str) -> str:
    words, is_broken = LANGUAGES[language], customer.get("_declines", False)
    cards = [row for row in account.store.newest_first("payment_method") if row["customer"] == customer["id"]]
    rows = "".join(f"<li><bdi>{_name(card)}</bdi></li>" for card in cards)
    switch = "accept" if is_broken else "decline"
    back = session["return_url"]
    return f"""<p>{words["portal_text"]}</p>
<h2>{words["portal_cards"]}</h2>
{f"<ul>{rows}</ul>" if rows else f"<p>{words['portal_none']}</p>"}
<p>{words["portal_broken" if is_broken else "portal_works"]}</p>
<form method="post" action="?language={language}">
<button name="action" value="{switch}">{words[f"portal_{switch}"]}</button>
</form>
{f'<p><a href="{escape(back)}">{words["back"]}</a></p>' if back else ""}"""


def _name(method: Json) -> str:
    card = method.get("card")
    return f"{card['brand'].capitalize()} •••• {card['last4']}" if card else escape(method["type"])
