"""What a person asks to be changed in an Environment, in the words of the API.

Source: api.md ("Applications") of the design.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from math import isfinite
from typing import Any, Final

from catalyst.core.gitops.yaml import MAX_DEPTH
from marketplace.models import Application, ApplicationEdit, Change

_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_LONGEST_POINTER: Final = 200
_LISTS: Final = ("remove", "pause", "resume", "promote")
_PLAIN: Final = ("put_back", "revert", "revert_to", "promote_from", "upgrade", "values", "pushed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Install:
    """One new Application. An empty ``version`` takes the newest, an empty ``name`` follows the Blueprint's."""

    blueprint: str
    version: str = ""
    name: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    size: str = "small"
    bindings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Configure:
    """The whole configuration of one Application, None to leave it; an empty ``size`` leaves that."""

    application: str
    config: Mapping[str, Any] | None = None
    size: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRequest:
    """Everything one Change may be asked to do.

    ``upgrade`` maps names to ranges, empty for the range that stands. ``revert`` is a Change of this Environment,
    ``revert_to`` a commit whose state is wanted, ``promote_from`` the type of another Environment of the Organization,
    of which ``promote`` names Applications (none: all). ``values`` holds, by Application, settings that stay behind on
    promotion or that both sides changed. ``put_back`` asks for what the rows say, whatever ``main`` holds. ``readme``
    and ``code_owners`` replace the texts for people; None leaves them. ``pushed`` is the commit it was read from.
    """

    install: tuple[Install, ...] = ()
    configure: tuple[Configure, ...] = ()
    upgrade: Mapping[str, str] = field(default_factory=dict)
    remove: tuple[str, ...] = ()
    pause: tuple[str, ...] = ()
    resume: tuple[str, ...] = ()
    revert: str = ""
    revert_to: str = ""
    promote_from: str = ""
    promote: tuple[str, ...] = ()
    values: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    put_back: bool = False
    readme: str | None = None
    code_owners: str | None = None
    pushed: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return what ``from_json`` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "ChangeRequest":
        """Read what ``as_json`` wrote."""
        lists: dict[str, Any] = {name: tuple(data.get(name) or ()) for name in _LISTS}
        plain: dict[str, Any] = {name: data[name] for name in _PLAIN if name in data}
        return cls(
            install=tuple(Install(**each) for each in data.get("install") or ()),
            configure=tuple(Configure(**each) for each in data.get("configure") or ()),
            readme=data.get("readme"),
            code_owners=data.get("code_owners"),
            **lists,
            **plain,
        )

    @property
    def kind(self) -> str:
        """Return the kind of the Change that this becomes."""
        if self.put_back:
            return Change.Kind.ADOPT
        if self.promote_from:
            return Change.Kind.PROMOTE
        return Change.Kind.REVERT if self.revert or self.revert_to else Change.Kind.CHANGE


def find_unstorable(request: ChangeRequest) -> str | None:
    """Return a pointer to what neither database nor file can hold, None when there is nothing.

    That is a zero byte, half a character, a number that is none, and what is nested deeper than a file may be.
    """
    pending: list[tuple[str, Any, int]] = [("", request, -2)]
    while pending:
        pointer, value, depth = pending.pop()
        if isinstance(value, ChangeRequest | Install | Configure):
            value = {each.name: getattr(value, each.name) for each in fields(value)}
        if isinstance(value, Mapping):
            if not all(map(_is_storable, value)) or depth > MAX_DEPTH:
                return pointer[:_LONGEST_POINTER]
            pending += [(f"{pointer}/{key}", inner, depth + 1) for key, inner in value.items()]
        elif isinstance(value, list | tuple):
            if depth > MAX_DEPTH:
                return pointer[:_LONGEST_POINTER]
            pending += [(f"{pointer}/{place}", inner, depth + 1) for place, inner in enumerate(value)]
        elif not _is_storable(value):
            return pointer[:_LONGEST_POINTER]
    return None


def _is_storable(value: Any) -> bool:
    if isinstance(value, str):
        return not _UNSTORABLE.search(value)
    return not isinstance(value, float) or isfinite(value)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a plan cannot be applied as it is; ``text`` says what would unblock it."""

    code: str
    pointer: str
    text: str

    def as_json(self) -> dict[str, str]:
        return {"code": self.code, "pointer": self.pointer, "detail": self.text}


@dataclass(slots=True)
class ChangePlan:
    """What a request makes of the Applications; nothing of it is saved.

    ``rows`` are all Applications as they would be, ``removed`` the names that go. ``reasons`` says of each name why it
    is concerned. ``reverts`` and ``promoted_from`` are for the commit's trailers.
    """

    kind: str
    summary: str = ""
    edits: list[ApplicationEdit] = field(default_factory=list)
    added: list[Application] = field(default_factory=list)
    rows: list[Application] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    reverts: str = ""
    promoted_from: str = ""

    @property
    def is_empty(self) -> bool:
        return not (self.edits or self.added)
