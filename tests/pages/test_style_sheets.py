"""The style sheets: they say start and end, so that Arabic mirrors them, and they are small.

Sources: surfaces.md §3 and §17 of the design.
"""

import gzip
import re
from pathlib import Path

import pytest
from django.conf import settings

CSS = Path(settings.ROOT) / "static" / "css"
#: Of the pages; the administration's and the printed sheet's are loaded there alone.
OF_PAGES = ("tokens.css", "base.css", "components.css", "pages.css")
BUDGET_BYTES = 20 * 1024
#: What names a side of the paper. Paper itself has sides: the printed sheet may say so.
PHYSICAL = re.compile(
    r"(?<![\w-])(?:(?:margin|padding|border|scroll-margin|scroll-padding)-(?:left|right)(?:-\w+)?|left|right"
    r"|border-(?:top|bottom)-(?:left|right)-radius)\s*:|(?:text-align|float|clear)\s*:\s*(?:left|right)\b"
)


@pytest.mark.parametrize("path", sorted(CSS.glob("*.css")), ids=lambda path: path.name)
def test_names_no_side(path: Path) -> None:
    assert [line.strip() for line in path.read_text().splitlines() if PHYSICAL.search(line)] == []


@pytest.mark.parametrize(
    "line",
    [
        "margin-left: 1rem;",
        "text-align: right;",
        "  left: 0;",
        "border-right-width: 1px;",
        "border-top-left-radius: 0;",
    ],
)
def test_a_side_is_noticed(line: str) -> None:
    assert PHYSICAL.search(line)


@pytest.mark.parametrize("line", ["margin-inline-start: 1rem;", "text-align: start;", "inset-inline-start: 0;"])
def test_start_and_end_are_fine(line: str) -> None:
    assert not PHYSICAL.search(line)


def test_fits_the_budget() -> None:
    whole = b"".join((CSS / name).read_bytes() for name in OF_PAGES)

    assert len(gzip.compress(whole)) <= BUDGET_BYTES
