"""A walk past every page, in English and in Arabic: who walks it says what is done at each of them.

Public pages and the wizard stand in a list. The console's pages are found by following its links, one page of each
kind, so that a new page is walked past as soon as another one leads to it.
"""

import re
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from django.urls import Resolver404, resolve
from playwright.sync_api import Page

from tests.journeys.stack import Stack

#: Called with the page's name and language while it stands in the window.
Look = Callable[[str, str], None]

LANGUAGES = ("en", "ar")
BUYER = "admin@demo.example"
SLUG = "rustaq-roses"
PUBLIC = {
    "grid": "/",
    "grid-empty": "/?q=zzzzzz",
    "blueprint": "/apps/wordpress/",
    "plans": "/plans/",
    "help": "/help/",
    "voucher": "/redeem/",
    "sign-in": "/account/sign-in/",
}
VOUCHERS = {"voucher-unknown": "NOPE-2026", "voucher-spent": "SPENT-2026", "voucher-valid": "START-100"}
ADMIN = {
    "admin": "/admin/",
    "admin-vouchers": "/admin/billing/voucher/",
    "admin-voucher-add": "/admin/billing/voucher/add/",
    "admin-orders": "/admin/billing/order/",
}
ERRORS = ("400", "403", "403_csrf", "404", "410", "429", "500", "503")
_LANGUAGE_FREE = ("/console/", "/orders/", "/admin/")


class Walk:
    """One person's way past all pages, with one window."""

    def __init__(self, stack: Stack, page: Page, look: Look) -> None:
        self._stack, self._page, self._look = stack, page, look

    def past_everything(self) -> None:
        """Shop without an account, buy, look at what was bought, at the administration and at the errors."""
        self._public()
        self._voucher()
        self._wizard()
        order = self._buy()
        # What needs no order is looked at while it is carried out.
        for name, path in ADMIN.items():
            self._stop(name, path, "en")
        self._style_guide()
        self._wait_for(order)
        personal = {"order": order, **self._console(), **ADMIN}
        self._speak_arabic()
        for name, path in personal.items():
            self._stop(name, path, "ar")

    def _stop(self, name: str, path: str, language: str) -> None:
        prefix = "/ar" if language == "ar" and not path.startswith(_LANGUAGE_FREE) else ""
        self._page.goto(f"{self._stack.address}{prefix}{path}")
        self._look(name, language)

    def _both(self, name: str, path: str) -> None:
        for language in LANGUAGES:
            self._stop(name, path, language)

    def _public(self) -> None:
        self._page.goto(f"{self._stack.address}/plans/")
        bundle = self._page.locator("a[href^='/bundles/']").first.get_attribute("href") or ""
        for name, path in PUBLIC.items():
            self._both(name, path)
        self._both("bundle", bundle)

    def _voucher(self) -> None:
        """Look at a code that is unknown, at one that is used up, and take one that covers an order."""
        for language, prefix in (("ar", "/ar"), ("en", "")):
            for name, code in VOUCHERS.items():
                self._page.goto(f"{self._stack.address}{prefix}/redeem/?code={code}")
                self._page.click("main form[action$='/redeem/'] button")
                self._page.wait_for_load_state()
                self._look(name, language)
        self._page.click("text=Use it in a new order")

    def _wizard(self) -> None:
        page = self._page
        self._both("checkout-plan", "/checkout/plan/")
        self._stop("checkout-plan", "/checkout/plan/", "en")
        page.check("#plan-m")
        page.click("text=Continue")
        page.wait_for_url("**/checkout/apps/")
        page.check("#app-wordpress")
        page.wait_for_selector("text=Comes with:")
        page.click("button.button-primary:has-text('Continue')")
        page.wait_for_url("**/checkout/addons/")
        self._both("checkout-addons", "/checkout/addons/")
        self._both("checkout-apps", "/checkout/apps/")
        self._stop("checkout-addons-again", "/checkout/addons/", "en")
        page.fill("#id_name", "Rustaq Roses")
        page.fill("#id_slug", SLUG)
        page.click("text=Continue to sign in")
        page.fill("#id_email", BUYER)
        page.click("text=Send me a code")
        page.fill("#id_code", self._stack.sign_in_code(BUYER))
        self._look("sign-in-code", "en")
        page.click("main button:has-text('Sign in')")
        page.wait_for_url("**/checkout/review/")
        self._both("checkout-review", "/checkout/review/")

    def _buy(self) -> str:
        """Buy for nothing and see the order in progress; return its path."""
        self._stop("checkout-review-again", "/checkout/review/", "en")
        self._page.click("button:has-text('Start')")
        self._page.wait_for_url(re.compile(r"/orders/[A-Z]{3}-\d{4}-\d{6}/"))
        self._look("order-running", "en")
        return urlsplit(self._page.url).path

    def _wait_for(self, order: str) -> None:
        self._page.goto(f"{self._stack.address}{order}")
        self._page.wait_for_selector("text=Everything is ready.", timeout=60_000)
        self._look("order", "en")

    def _console(self) -> dict[str, str]:
        """Follow the links of the console; return one address of each kind of page, by its route's name."""
        found: dict[str, str] = {}
        waiting = [f"/console/{SLUG}/applications/"]
        while waiting:
            path = waiting.pop(0)
            name = _route(path)
            if name == "" or name in found:
                continue
            found[name] = path
            self._stop(name, path, "en")
            waiting += list(self._links())
        return found

    def _links(self) -> Iterator[str]:
        gathered = "links => links.map(link => link.getAttribute('href'))"
        for href in self._page.locator("a[href^='/console/']:not([download])").evaluate_all(gathered):
            if not urlsplit(href).path.endswith(".pdf"):
                yield href.partition("#")[0]

    def _style_guide(self) -> None:
        self._both("style-guide", "/ui/")
        for status in ERRORS:
            self._both(f"error-{status}", f"/ui/errors/{status}/")

    def _speak_arabic(self) -> None:
        self._page.goto(f"{self._stack.address}/console/{SLUG}/applications/")
        self._page.click("button[name=language][value=ar]")
        self._page.wait_for_selector("html[lang=ar]")


def _route(path: str) -> str:
    """Return the name of the route of a page with an Organization of its own, or nothing."""
    try:
        match = resolve(urlsplit(path).path)
    except Resolver404:
        return ""
    return match.url_name or "" if "slug" in match.kwargs else ""
