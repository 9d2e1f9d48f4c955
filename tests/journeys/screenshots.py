"""Pictures of every page in both languages, on a phone and on a desk, light and dark: ``make screenshots``.

They land in ``var/screenshots/pages/`` as ``<page>.<language>.<width>.<theme>.png``, for a person to look at.
"""

import os
from pathlib import Path
from typing import Literal

import django
from playwright.sync_api import Page

from tests.journeys.browser import visit
from tests.journeys.every_page import Walk
from tests.journeys.stack import ROOT, running_stack

FOLDER = ROOT / "var" / "screenshots" / "pages"
WIDTHS = (360, 1280)
_THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


class Photographer:
    """Takes four pictures of whatever page it is called at."""

    def __init__(self, page: Page, folder: Path) -> None:
        self._page, self._folder = page, folder

    def look(self, name: str, language: str) -> None:
        for theme in _THEMES:
            # Without motion no picture catches a color half way.
            self._page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            for width in WIDTHS:
                self._page.set_viewport_size({"width": width, "height": 900})
                self._page.screenshot(path=self._folder / f"{name}.{language}.{width}.{theme}.png", full_page=True)
        self._page.emulate_media(color_scheme="light")


def main() -> None:
    # The walk asks the routes which page it sees.
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "catalyst.settings.test")
    django.setup()
    with running_stack() as stack, visit(FOLDER) as visitor:
        Walk(stack, visitor.page, Photographer(visitor.page, FOLDER).look).past_everything()
    print(f"{len(list(FOLDER.glob('*.png')))} pictures in {FOLDER}")


if __name__ == "__main__":
    main()
