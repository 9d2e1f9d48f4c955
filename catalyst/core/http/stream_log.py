"""What one live stream shows: rows of the event log as frames of text."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils import timezone, translation

from catalyst.core.models import Outbox
from catalyst.core.outbox import Message, as_message
from catalyst.core.projections import folded_sequence

#: How far back a stream replays; a reader that is older starts afresh.
RETAINED = timedelta(hours=24)
_BATCH = 200
_SHOWN = (
    "environment",
    "application",
    "change",
    "job",
    "order",
    "status",
    "status_reason",
    "observed_at",
    "commit",
)


@dataclass(frozen=True, slots=True)
class StreamQuery:
    """What the request said. ``after`` is the last sequence that the reader has; ``view`` is ``<name>:<argument>``."""

    authorization: bytes
    cookies: str
    after: int | None
    view: str


@dataclass(frozen=True, slots=True)
class StreamAccess:
    """What the reader may see: one stream of the log, and the Environment types in it (None: all)."""

    stream: str
    person: int
    language: str
    env_types: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class ViewFrame:
    """The HTML that an event changes; ``is_done`` closes the view.

    ``is_look``: no HTML, the page asks for its own part anew. The frame is named, so nothing is swapped for it.
    """

    html: str
    is_done: bool = False
    is_look: bool = False


Authorize = Callable[[StreamQuery, str], StreamAccess]
#: Renders one event for a reader, from the argument after the colon; None when it changes nothing in this view.
ViewRenderer = Callable[[StreamAccess, str, Message], ViewFrame | None]

_views: dict[str, ViewRenderer] = {}


def register_view(name: str, render: ViewRenderer) -> None:
    """Offer ``?view=<name>:<argument>`` on live streams."""
    _views[name] = render


class StreamLog:
    """The reader's place in the log. Every method is one short query."""

    def __init__(self, access: StreamAccess, query: StreamQuery) -> None:
        self._access = access
        self._after = query.after
        name, _colon, self._argument = query.view.partition(":")
        self._render = _views.get(name)

    def start(self) -> str:
        """Return the first lines: the place where the stream begins, or that the reader must start afresh."""
        last = folded_sequence()
        asked, self._after = self._after, last
        if asked is None or asked > last:
            return f"id: {last}\n\n"
        missed = Outbox.objects.filter(stream=self._access.stream, sequence__gt=asked)
        if missed.filter(sent_at__lt=timezone.now() - RETAINED).exists():
            return f"id: {last}\nevent: reset\ndata: {{}}\n\n"
        self._after = asked
        return f"id: {asked}\n\n"

    def read(self) -> str:
        """Return the frames of what is new and folded; empty when nothing is.

        An event that is published and not folded yet would be drawn from tables that do not know it.
        """
        rows = list(
            Outbox.objects.filter(
                stream=self._access.stream, sequence__gt=self._after, sequence__lte=folded_sequence()
            ).order_by("sequence")[:_BATCH]
        )
        if not rows:
            return ""
        self._after = rows[-1].sequence
        frames = "".join(self._frame(as_message(row)) for row in rows)
        # Something must be sent, so that the loop reads on and the reader's place moves.
        return frames or f"id: {self._after}\n\n"

    def _frame(self, message: Message) -> str:
        if not self._is_visible(message):
            return ""
        if self._render is None:
            return f"id: {message.sequence}\ndata: {json.dumps(_data(message))}\n\n"
        with translation.override(self._access.language):
            rendered = self._render(self._access, self._argument, message)
        if rendered is None:
            return ""
        if rendered.is_look:
            return f"id: {message.sequence}\nevent: look\ndata: {{}}\n\n"
        name = "event: done\n" if rendered.is_done else ""
        lines = "".join(f"data: {line}\n" for line in rendered.html.splitlines())
        return f"id: {message.sequence}\n{name}{lines}\n"

    def _is_visible(self, message: Message) -> bool:
        environment = str(message.payload.get("environment") or "")
        if self._access.env_types is None or not environment:
            return True
        return environment.rpartition("-")[2] in self._access.env_types


def _data(message: Message) -> dict[str, Any]:
    at = message.payload.get("at") or message.created_at.isoformat()
    shown = {name: message.payload[name] for name in _SHOWN if name in message.payload}
    return {"type": message.topic, "at": at, "status": "", **shown}
