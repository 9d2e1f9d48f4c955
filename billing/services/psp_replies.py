"""What the processor last replied to a write, until the outcome of its intent is written down by the same process."""

from typing import Final

#: More replies than calls can be on their way; what was never asked for goes, the oldest first.
_MOST: Final = 256
_heard: dict[str, int] = {}


def note_reply(key: str, http_status: int | None) -> None:
    """Remember the HTTP status of the reply to the write with this key; None, because nothing was heard, is nothing."""
    if http_status is None:
        return
    if len(_heard) >= _MOST:
        # Another thread may have taken it already.
        _heard.pop(next(iter(_heard.copy()), ""), None)
    _heard[key] = http_status


def take_reply(key: str) -> int | None:
    """Return the status that was heard for this key, once."""
    return _heard.pop(key, None)
