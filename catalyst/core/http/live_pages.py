"""Live views that only say "look": the page then asks for its own part again, by its own address and own rights.

One event often moves several parts of a page, and what it draws depends on who reads it; so nothing is drawn twice, and
a look shows nothing that the page itself would not show.
"""

from collections.abc import Callable, Collection
from functools import partial

from catalyst.core.http.stream_log import StreamAccess, ViewFrame, register_view
from catalyst.core.outbox import Message

#: Tells whether an event is about what stands after the colon of a view; None: everything of its topics is.
Concerns = Callable[[str, Message], bool]


def register_page(name: str, topics: Collection[str], *, concerns: Concerns | None = None) -> None:
    """Offer ``?view=<name>`` or ``?view=<name>:<argument>``. ``topics`` are beginnings of topics, with their dot."""
    register_view(name, partial(_look, tuple(topics), concerns))


def concerns_member(member: str) -> Concerns:
    """Return the rule that an event is about the argument when this member of its payload equals it."""
    return lambda argument, message: str(message.payload.get(member) or "") == argument


def _look(
    topics: tuple[str, ...], concerns: Concerns | None, _access: StreamAccess, argument: str, message: Message
) -> ViewFrame | None:
    if not message.topic.startswith(topics):
        return None
    if concerns is not None and argument and not concerns(argument, message):
        return None
    return ViewFrame(html="", is_look=True)
