"""Reads untrusted mappings field by field and collects every finding instead of stopping at the first."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken rule: its id, where, what is wrong, how to fix it.

    ``field`` is a path inside ``file``; ``line`` counts from 1, 0 when it is not known. A warning refuses nothing.
    """

    rule: str
    field: str
    problem: str
    fix: str
    line: int = 0
    file: str = "blueprint.yaml"
    is_warning: bool = False

    def __str__(self) -> str:
        file = "" if self.file == "blueprint.yaml" else self.file
        place = " ".join(part for part in (file, self.field) if part)
        where = f"{place}, line {self.line}" if self.line else place
        return f"{self.rule} {where}: {self.problem} {self.fix}"

    def as_line(self) -> str:
        """Return it as a terminal shows it, to an author and to whoever pushes."""
        word = "warning" if self.is_warning else "refused"
        text = f"{self.rule} {self.field}".rstrip()
        return f"{self.file}:{self.line}: {word} {text}: {self.problem} {self.fix}"


class ContractRefused(DomainError):
    """The document breaks rules of the Blueprint contract; ``findings`` lists all of them."""

    code = "blueprint_refused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY

    def __init__(self, findings: Collection[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("\n".join(str(finding) for finding in self.findings))


class Section:
    """One mapping of the document. Unknown keys are findings, except ``x-`` keys outside ``x-catalyst-``."""

    def __init__(self, data: Any, path: str, known: Collection[str], findings: list[Finding]) -> None:
        self.path = path
        self.findings = findings
        self.data: dict[str, Any] = data if isinstance(data, dict) else {}
        if not isinstance(data, dict):
            self.refuse("BP-N04", "", _("A mapping is expected."), _("Write key: value lines."))
        for key in self.data:
            if key not in known and (not key.startswith("x-") or key.startswith("x-catalyst-")):
                fix = _("Known here: %(known)s.") % {"known": ", ".join(sorted(known))}
                self.refuse("BP-N04", key, _("This field is unknown."), fix)

    def refuse(self, rule: str, key: str, problem: str, fix: str) -> None:
        self.findings.append(Finding(rule, self.field(key), problem, fix))

    def field(self, key: str) -> str:
        return ".".join(part for part in (self.path, key) if part)

    def has(self, key: str) -> bool:
        return self.data.get(key) is not None

    def section(self, key: str, known: Collection[str]) -> "Section":
        """Read a nested mapping; an absent one reads as empty."""
        return Section(self.data.get(key, {}), self.field(key), known, self.findings)

    def sections(self, key: str, known: Collection[str], *, rule: str, limit: int) -> list["Section"]:
        """Read a list of mappings."""
        items = self._list(key, rule=rule, limit=limit)
        return [Section(item, f"{self.field(key)}.{index}", known, self.findings) for index, item in enumerate(items)]

    def text(self, key: str, *, rule: str, pattern: str = "", default: str | None = None, limit: int = 200) -> str:
        """Read one line of text; without a default it is required."""
        value = self.data.get(key, default)
        if value is None:
            self.refuse(rule, key, _("This field is required."), _("Add it."))
            return ""
        if not isinstance(value, str) or (not value.strip() and value != default) or len(value) > limit:
            fix = _("Write 1 to %(limit)d characters, in quotes if it looks like a number.") % {"limit": limit}
            self.refuse(rule, key, _("Text is expected."), fix)
            return ""
        if pattern and value != default and re.fullmatch(pattern, value) is None:
            fix = _("It must match %(pattern)s.") % {"pattern": pattern}
            self.refuse(rule, key, _("%(value)r has the wrong form.") % {"value": value}, fix)
        return value

    def choice(self, key: str, choices: Collection[str], *, rule: str, default: str | None = None) -> str:
        """Read one of a few words."""
        value = self.text(key, rule=rule, default=default)
        if value and value not in choices:
            fix = _("Choose one of %(choices)s.") % {"choices": ", ".join(sorted(choices))}
            self.refuse(rule, key, _("%(value)r is not possible here.") % {"value": value}, fix)
        return value

    def integer(self, key: str, low: int, high: int, *, rule: str, default: int | None = None) -> int:
        """Read a whole number between two bounds."""
        value = self.data.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            fix = _("Write a whole number from %(low)d to %(high)d.") % {"low": low, "high": high}
            self.refuse(rule, key, _("A number is expected."), fix)
            return low
        return value

    def boolean(self, key: str, *, rule: str, default: bool) -> bool:
        value = self.data.get(key, default)
        if not isinstance(value, bool):
            self.refuse(rule, key, _("true or false is expected."), _("Write it without quotes."))
            return default
        return value

    def texts(self, key: str, *, rule: str, limit: int, pattern: str = "") -> tuple[str, ...]:
        """Read a list of texts without repetition."""
        items = self._list(key, rule=rule, limit=limit)
        good = [each for each in items if isinstance(each, str) and (not pattern or re.fullmatch(pattern, each))]
        if len(good) != len(items) or len(set(good)) != len(good):
            self.refuse(rule, key, _("A list of different, well-formed texts is expected."), _("Correct its entries."))
        return tuple(good)

    def _list(self, key: str, *, rule: str, limit: int) -> list[Any]:
        items = self.data.get(key, [])
        if not isinstance(items, list) or len(items) > limit:
            fix = _("Write at most %(limit)d entries.") % {"limit": limit}
            self.refuse(rule, key, _("A list is expected."), fix)
            return []
        return items
