"""Every page in both languages: for every reader, on every width, from one origin, with nothing left in English."""

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page

from tests.journeys.accessibility import broken_rules, english_on_an_arabic_page, facts, sideways
from tests.journeys.browser import Visit, visit
from tests.journeys.every_page import Walk
from tests.journeys.stack import ROOT, Stack

pytestmark = [pytest.mark.journey, pytest.mark.timeout(240)]

SCREENSHOTS = ROOT / "var" / "screenshots" / "every-page"

#: Pages that are an answer of 404 or 410: the browser itself remarks on that.
REFUSED = {"voucher-unknown", "voucher-spent"}
_STATUS = "the server responded with a status of 4"


class Inspector:
    """Notes what is wrong with each page of a walk; says the page's name with it."""

    def __init__(self, stack: Stack, visitor: Visit) -> None:
        self.findings: list[str] = []
        self._titles: dict[tuple[str, str], set[str]] = {}
        self._visitor, self._page = visitor, visitor.page
        self._page.on("request", lambda request: self._note_origin(request.url, stack.address))

    def look(self, name: str, language: str) -> None:
        page = self._page
        known = facts(page)
        self._titles.setdefault((language, known["title"]), set()).add(urlsplit(page.url).path)
        wrong = [f"targets too small: {small}" for small in known["small"]]
        if (known["lang"], known["dir"]) != (language, "rtl" if language == "ar" else "ltr"):
            wrong.append(f"says it is {known['lang']!r}, {known['dir']!r}")
        if known["headings"] != 1:
            wrong.append(f"{known['headings']} headings of level 1")
        wrong += broken_rules(page)
        wrong += [f"scrolls sideways {over}" for over in sideways(page)]
        if language == "ar":
            wrong += [f"untranslated: {text}" for text in english_on_an_arabic_page(page)]
        wrong += [f"console: {complaint}" for complaint in self._complaints(name)]
        self.findings += [f"{name} ({language}): {each}" for each in wrong]

    def _complaints(self, name: str) -> list[str]:
        said = [each for each in self._visitor.complaints if not (name in REFUSED and _STATUS in each)]
        self._visitor.complaints.clear()
        return said

    def shared_titles(self) -> list[str]:
        """Return the titles by which two pages of one language cannot be told apart."""
        return [f"{title!r} names {paths}" for (_, title), paths in self._titles.items() if len(paths) > 1]

    def _note_origin(self, url: str, origin: str) -> None:
        if urlsplit(url).scheme in {"http", "https"} and not url.startswith(origin):
            self.findings.append(f"a request left the origin: {url}")


def test_every_page_is_for_everyone(stack: Stack) -> None:
    with visit(SCREENSHOTS) as visitor:
        inspector = Inspector(stack, visitor)
        walk = Walk(stack, visitor.page, inspector.look)

        walk.past_everything()

    assert inspector.findings == []
    assert inspector.shared_titles() == []


def test_the_inspection_sees_what_is_wrong(stack: Stack) -> None:
    """The control: a page with each of the faults is not passed over."""
    with visit(SCREENSHOTS) as visitor:
        page = visitor.page
        page.goto(f"{stack.address}/ar/help/")
        spoil(page)

        found = broken_rules(page), facts(page), sideways(page), english_on_an_arabic_page(page)

    assert {rule.partition(":")[0] for rule in found[0]} == {"image-alt", "color-contrast"}
    assert found[1]["headings"] == 2
    assert len(found[1]["small"]) == 1
    assert [over.partition(" px")[0] for over in found[2]] == ["at 320", "at 360"]
    assert found[3] == ["Choose a plan first"]


def spoil(page: Page) -> None:
    page.evaluate("""() => {
        const main = document.querySelector("main");
        main.innerHTML = `<h1>ا</h1><h1>ب</h1><nav><a href="/">.</a></nav><p id="pale">Choose a plan first</p>
            <img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=" width="500" height="9">
            <code>one two three</code><p lang="en">one two three</p>`;
        document.getElementById("pale").style.color = "#ccc";
        Object.assign(main.querySelector("nav a").style, {fontSize: "6px", display: "inline-block"});
    }""")
