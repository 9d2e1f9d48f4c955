"""Which regular expressions a configuration schema may hold: those that cannot be made to run for long.

Source: blueprints.md §3 of the design.
"""

import re
from itertools import pairwise
from typing import Final

MAX_LENGTH: Final = 128
#: Two open-ended repeats over a text of this length are still fast.
MAX_REPEATS: Final = 2
_PIECE = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?:|[()|]|[*+?]\??|\{[0-9]*(?:,[0-9]*)?\}\??|.", re.DOTALL)
_BACK_REFERENCE = re.compile(r"\\[1-9]")
_REPEAT = re.compile(r"[*+?]\??|\{[0-9]*(?P<open>,)?[0-9]*\}\??")
_HUGE_COUNT = re.compile(r"\{[0-9]{0,9}?[0-9]{4}")


def is_safe_pattern(pattern: str) -> bool:
    """Tell whether an expression compiles, is short, and has no look-around, back-reference or nested repeat.

    A repeated group holds neither a repeat nor alternatives, and at most two repeats have an open or large end.
    """
    if len(pattern) > MAX_LENGTH:
        return False
    try:
        # The length is bounded above; what compiling costs is bounded by it.
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        return False
    pieces = _PIECE.findall(pattern)
    # A group that starts with a question mark is a look-around, a name or a flag, save "(?:".
    is_special = any(before == "(" and piece[0] == "?" for before, piece in pairwise(pieces))
    return not is_special and not any(_BACK_REFERENCE.match(piece) for piece in pieces) and _is_flat(pieces)


def _is_flat(pieces: list[str]) -> bool:
    groups = [False]  # whether each open group holds a repeat or alternatives
    open_ends, is_busy = 0, False  # whether what stands before is a group that holds one
    for piece in pieces:
        repeat = _REPEAT.fullmatch(piece)
        if repeat and (is_busy or _HUGE_COUNT.match(piece)):
            return False
        is_busy = False
        if repeat:
            open_ends += piece[0] in "*+" or bool(repeat["open"])
            groups[-1] = True
        elif piece in {"(", "(?:"}:
            groups.append(False)
        elif piece == ")":
            is_busy = groups.pop()
            groups[-1] = groups[-1] or is_busy
        elif piece == "|":
            groups[-1] = True
    return open_ends <= MAX_REPEATS
