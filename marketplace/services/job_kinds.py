"""Which kinds of Job there are, and what a step may answer. Each kind is registered by the module that holds its steps.

A step is done again from its beginning when its worker dies, so its effect must bear repetition.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from django.utils.functional import Promise

from marketplace.models import Job, JobStep


@dataclass(frozen=True, slots=True)
class Done:
    """The step is complete; ``note`` goes into the log."""

    note: str = ""


@dataclass(frozen=True, slots=True)
class Wait:
    """The step is not complete: call it again at ``until``. ``progress`` is in per cent."""

    until: datetime
    reason: str
    progress: int = 0


Step = Callable[[Job, JobStep, datetime], Done | Wait]
#: Called in the transaction that ends the Job.
Ending = Callable[[Job, datetime], None]


def _nothing(_job: Job, _now: datetime) -> None:
    """End a kind that has nothing to put back."""


@dataclass(frozen=True, slots=True)
class JobKind:
    """``title`` and ``titles`` are what people read, of the Job and of its steps by name.

    ``deadline`` is how long all steps together may take. Before ``final_step`` begins the Job can be cancelled; with
    an empty one, never. ``is_quiet``: a failure waits for a person at a page, so it opens no incident.
    """

    name: str
    title: str | Promise
    steps: Mapping[str, Step]
    titles: Mapping[str, str | Promise]
    deadline: timedelta
    final_step: str = ""
    on_cancelled: Ending = field(default=_nothing)
    is_quiet: bool = False

    def can_cancel_at(self, step: str) -> bool:
        """Tell whether the Job may still be cancelled before this step."""
        names = list(self.steps)
        return bool(self.final_step) and names.index(step) <= names.index(self.final_step)


_kinds: Final[dict[str, JobKind]] = {}


def register_kind(kind: JobKind) -> JobKind:
    """Let Jobs of this kind be started and driven; a name is given once."""
    if kind.name in _kinds:
        raise LookupError(f"Two kinds of Job are called {kind.name}.")
    _kinds[kind.name] = kind
    return kind


def find_kind(name: str) -> JobKind | None:
    """Return the kind, or None: another release knows it, or nothing does."""
    return _kinds.get(name)


def known_kinds() -> list[str]:
    """Return the names of all kinds."""
    return sorted(_kinds)
