"""How well the colors of ``static/css/tokens.css`` can be told apart, in the light and in the dark theme.

Source: WCAG 2.2, "relative luminance", "contrast ratio" and success criteria 1.4.3 and 1.4.11.
"""

import re
from dataclasses import dataclass

#: What text needs, and what the edge of a control needs.
TEXT, EDGE = 4.5, 3.0
_TOKEN = re.compile(r"^\s*--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);", re.MULTILINE)
_SOFT = ("blue", "green", "amber", "red", "violet")
_GROUNDS = ("paper", "surface", "sunken")
#: Which color is put on which: every pair that the style sheets make.
PAIRS: tuple[tuple[str, str, float], ...] = (
    *((front, ground, TEXT) for front in ("ink", "muted", "accent", "accent-strong") for ground in _GROUNDS),
    ("on-accent", "accent", TEXT),
    ("on-accent", "accent-strong", TEXT),
    ("accent-strong", "accent-soft", TEXT),
    ("muted", "grey-soft", TEXT),
    *((color, f"{color}-soft", TEXT) for color in _SOFT),
    *(("ink", f"{color}-soft", TEXT) for color in _SOFT),
    ("red", "surface", TEXT),
    ("line-strong", "surface", EDGE),
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A color on another one; both as (light, dark), the ratios likewise."""

    front: str
    ground: str
    fronts: tuple[str, str]
    grounds: tuple[str, str]
    ratios: tuple[float, float]
    least: float

    @property
    def is_enough(self) -> bool:
        return min(self.ratios) >= self.least


def read_tokens(css: str) -> dict[str, tuple[str, str]]:
    """Return each color of the style sheet as ``#rrggbb`` for the light and for the dark theme."""
    return {name: (light, dark) for name, light, dark in _TOKEN.findall(css)}


def judge_pairs(css: str) -> list[Pair]:
    """Return the contrast of every pair that the pages use; raises ``KeyError`` when a color is missing."""
    tokens = read_tokens(css)
    return [_judge(tokens, front, ground, least) for front, ground, least in PAIRS]


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two ``#rrggbb`` colors, between 1 and 21."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _judge(tokens: dict[str, tuple[str, str]], front: str, ground: str, least: float) -> Pair:
    fronts, grounds = tokens[front], tokens[ground]
    ratios = (contrast(fronts[0], grounds[0]), contrast(fronts[1], grounds[1]))
    return Pair(front, ground, fronts, grounds, ratios, least)


def _luminance(color: str) -> float:
    red, green, blue = (_linear(int(color[at : at + 2], 16) / 255) for at in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)
