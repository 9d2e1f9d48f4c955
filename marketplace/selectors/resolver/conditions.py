"""Conditions of dependencies (``when``): one small comparison language, parsed here and by no template engine.

``{{ .config.cache == true and .config.mode in ["a", "b"] }}``: paths start with ``.config.``, literals are texts, whole
numbers, true and false, and equal only with the same type.

Source: blueprints.md §3 of the design.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError

MAX_LENGTH = 300
MAX_NESTING = 10

_TOKEN = re.compile(
    r"\s*(?:(?P<path>\.config(?:\.[A-Za-z][A-Za-z0-9_]*)+)"
    r'|(?P<text>"[^"\\]*"|\'[^\'\\]*\')'
    r"|(?P<number>-?[0-9]{1,15})(?![0-9A-Za-z_.])"
    r"|(?P<word>[a-z]+)(?![0-9A-Za-z_.])"
    r"|(?P<sign>==|!=|[()\[\],]))"
)
_BRACES = re.compile(r"\{\{(.*)\}\}", re.DOTALL)


class ConditionRefused(DomainError):
    """This is not a condition."""

    code = "condition_refused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True)
class Condition:
    """``any`` and ``all`` hold ``parts``; ``not`` holds one; ``in`` compares ``path`` with ``literals``."""

    kind: str
    parts: tuple["Condition", ...] = ()
    path: tuple[str, ...] = ()
    literals: tuple[Any, ...] = ()

    def holds(self, config: Mapping[str, Any]) -> bool:
        """Tell whether a configuration meets it. A path that is not set equals nothing."""
        if self.kind == "in":
            value = _value(config, self.path)
            return any(type(value) is type(each) and value == each for each in self.literals)
        if self.kind == "not":
            return not self.parts[0].holds(config)
        return (any if self.kind == "any" else all)(part.holds(config) for part in self.parts)

    def paths(self) -> frozenset[tuple[str, ...]]:
        """Return every path it reads, each without ``.config``."""
        below = frozenset(path for part in self.parts for path in part.paths())
        return below | {self.path} if self.path else below


@lru_cache(maxsize=1024)
def parse_condition(text: str) -> Condition:
    """Read a condition, with or without its braces.

    :raises ConditionRefused: it is not in the language, or too long or nested.
    """
    braces = _BRACES.fullmatch(text.strip())
    reader = _Reader(braces[1] if braces else text, whole=text)
    condition = reader.any_of(0)
    if reader.tokens:
        raise reader.refused()
    return condition


def default_values(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration that a ``configSchema`` gives when nobody says anything."""
    found: dict[str, Any] = {}
    for name, node in (schema.get("properties") or {}).items():
        if "default" in node:
            found[name] = node["default"]
        elif inner := default_values(node):
            found[name] = inner
    return found


def _value(config: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = config
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


class _Reader:
    """Recursive descent: ``or`` binds weakest, then ``and``, then ``not``."""

    def __init__(self, text: str, *, whole: str) -> None:
        self.whole = whole
        self.tokens: list[tuple[str, str]] = []
        if len(whole) > MAX_LENGTH:
            raise self.refused()
        position, text = 0, text.rstrip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None or match.lastgroup is None:
                raise self.refused()
            self.tokens.append((match.lastgroup, match[match.lastgroup]))
            position = match.end()

    def refused(self) -> ConditionRefused:
        words = _("%(condition)r is not a condition. Write one like .config.cache == true.")
        return ConditionRefused(words % {"condition": self.whole[:80]})

    def any_of(self, nesting: int) -> Condition:
        parts = [self._all_of(nesting)]
        while self._takes("or"):
            parts.append(self._all_of(nesting))
        return parts[0] if len(parts) == 1 else Condition("any", tuple(parts))

    def _all_of(self, nesting: int) -> Condition:
        parts = [self._one(nesting)]
        while self._takes("and"):
            parts.append(self._one(nesting))
        return parts[0] if len(parts) == 1 else Condition("all", tuple(parts))

    def _one(self, nesting: int) -> Condition:
        if nesting > MAX_NESTING:
            raise self.refused()
        if self._takes("not"):
            return Condition("not", (self._one(nesting + 1),))
        if self._takes("("):
            inner = self.any_of(nesting + 1)
            self._expect(")")
            return inner
        return self._comparison()

    def _comparison(self) -> Condition:
        kind, text = self._next()
        if kind != "path":
            raise self.refused()
        path = tuple(text.split(".")[2:])
        if self._takes("in"):
            self._expect("[")
            literals = [self._literal()]
            while self._takes(","):
                literals.append(self._literal())
            self._expect("]")
            return Condition("in", path=path, literals=tuple(literals))
        is_equal = self._takes("==")
        if not is_equal:
            self._expect("!=")
        compared = Condition("in", path=path, literals=(self._literal(),))
        return compared if is_equal else Condition("not", (compared,))

    def _literal(self) -> str | int | bool:
        kind, text = self._next()
        if kind == "text":
            return text[1:-1]
        if kind == "number":
            return int(text)
        if text in {"true", "false"}:
            return text == "true"
        raise self.refused()

    def _next(self) -> tuple[str, str]:
        if not self.tokens:
            raise self.refused()
        return self.tokens.pop(0)

    def _takes(self, text: str) -> bool:
        if self.tokens and self.tokens[0][1] == text and self.tokens[0][0] in {"word", "sign"}:
            self.tokens.pop(0)
            return True
        return False

    def _expect(self, text: str) -> None:
        if not self._takes(text):
            raise self.refused()
