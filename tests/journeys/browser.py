"""A real browser for the journeys: Debian's Chromium, which says every complaint of its console aloud."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, ViewportSize, sync_playwright

CHROMIUM = "/usr/bin/chromium"
_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Visit:
    """One window, its pictures under ``folder``, and what the console complained about."""

    def __init__(self, page: Page, folder: Path) -> None:
        self.page = page
        self.complaints: list[str] = []
        self._folder = folder
        self._count = 0
        page.on("console", lambda message: self._note(message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def picture(self, name: str) -> None:
        """Keep a picture of the whole page; refuse a page that scrolls sideways."""
        self._count += 1
        self.page.screenshot(path=self._folder / f"{self._count:02}-{name}.png", full_page=True)
        width = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert self.page.evaluate(width) <= 0, f"{name} scrolls sideways"

    def _note(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"}:
            self.complaints.append(text)


@contextmanager
def visit(folder: Path, *, runs_scripts: bool = True) -> Iterator[Visit]:
    """Open a window at 1280 × 900, of a browser that may run no scripts."""
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        try:
            size: ViewportSize = {"width": 1280, "height": 900}
            page = browser.new_context(viewport=size, java_script_enabled=runs_scripts).new_page()
            page.set_default_timeout(15_000)
            yield Visit(page, folder)
        except BaseException:
            page.screenshot(path=folder / "failed.png", full_page=True)
            raise
        finally:
            browser.close()
