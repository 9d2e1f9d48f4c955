"""What every page owes to every reader, measured in the browser: axe's rules and those of our own.

Sources: WCAG 2.2 AA; surfaces.md §3, §16 and §18 of the design. ``vendor/VENDORED.md`` says where axe comes from.
"""

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
#: Phones: the narrowest of WCAG 1.4.10 and a common one, in pixels.
NARROW = (320, 360)
WIDE = {"width": 1280, "height": 900}
_RUN = """async rules => {
    const options = {resultTypes: ["violations"], ...(rules.length ? {runOnly: {type: "rule", values: rules}} : {})};
    const found = await axe.run(document, options);
    return found.violations
        .filter(each => ["serious", "critical"].includes(each.impact))
        .flatMap(each => each.nodes.slice(0, 3).map(node => `${each.id}: ${node.html.slice(0, 160)}`));
}"""
_FACTS = """() => {
    const seen = element => element.checkVisibility({visibilityProperty: true}) && !element.closest(".unseen, .skip");
    const small = [...document.querySelectorAll("nav a, nav button, header a, header button, header summary, .button")]
        .filter(seen)
        .map(element => [element, element.getBoundingClientRect()])
        .filter(([, box]) => box.width && (box.width < 24 || box.height < 24))
        .map(([element, box]) => `${box.width}×${box.height} ${element.outerHTML}`.slice(0, 160));
    return {
        title: document.title,
        lang: document.documentElement.lang,
        dir: document.documentElement.dir,
        headings: [...document.querySelectorAll("h1")].filter(seen).length,
        small,
    };
}"""
_SIDEWAYS = """() => {
    const room = document.documentElement.clientWidth;
    const over = document.documentElement.scrollWidth - room;
    if (over <= 0) return null;
    const sign = getComputedStyle(document.documentElement).direction === "rtl" ? -1 : 1;
    const guilty = [...document.querySelectorAll("body *")].filter(element => {
        const box = element.getBoundingClientRect();
        return sign > 0 ? box.right > room + 1 : box.left < -1;
    });
    return `by ${over} px: ${(guilty.at(-1) ?? document.body).outerHTML.slice(0, 160)}`;
}"""
#: Three Latin words in a row outside of code, of what says that it is English and of what people wrote themselves.
_LATIN = r"""() => {
    const sentence = /\p{Script=Latin}[\p{Script=Latin}'’]*(?:[,;:.]?\s+\p{Script=Latin}[\p{Script=Latin}'’]*){2,}/u;
    const apart = "code, pre, kbd, samp, bdi, svg, script, style, textarea, [lang=en], [dir=auto], #result_list td";
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const text = walker.currentNode.data.trim();
        if (sentence.test(text) && !walker.currentNode.parentElement.closest(apart)) found.push(text);
    }
    for (const name of ["aria-label", "placeholder", "title", "alt"])
        for (const element of document.querySelectorAll(`[${name}]`))
            if (sentence.test(element.getAttribute(name)) && !element.closest(apart))
                found.push(`${name}=${element.getAttribute(name)}`);
    if (sentence.test(document.title)) found.push(`title: ${document.title}`);
    return found.map(text => text.slice(0, 160));
}"""


def broken_rules(page: Page, *rules: str) -> list[str]:
    """Return axe's serious and critical findings on the page as it stands; of these rules, or of all."""
    # Evaluated by the debugger, which no security policy of the page concerns.
    page.evaluate(AXE.read_text())
    return list(page.evaluate(_RUN, list(rules)))


def facts(page: Page) -> dict[str, Any]:
    """Return title, lang, dir, the number of visible first headings, and ``small``: targets below 24 × 24 pixels."""
    return dict(page.evaluate(_FACTS))


def sideways(page: Page) -> list[str]:
    """Return at which narrow widths the page scrolls sideways, and what sticks out; the window is wide again after."""
    found = []
    for width in NARROW:
        page.set_viewport_size({"width": width, "height": 800})
        over = page.evaluate(_SIDEWAYS)
        found += [f"at {width} px {over}"] if over else []
    page.set_viewport_size({"width": WIDE["width"], "height": WIDE["height"]})
    return found


def english_on_an_arabic_page(page: Page) -> list[str]:
    """Return the texts, spoken names and hints that read like an English sentence."""
    return list(page.evaluate(_LATIN))
