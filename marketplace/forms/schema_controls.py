"""The controls of a form made from a ``configSchema``: each draws one node and reads it back as a typed value.

A control never judges. What cannot be read as its type is handed on as it was typed, so that the one judgment over
configurations refuses it at its place. Nothing that equals the default is written down, unless it was so before.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

from django.http import QueryDict
from django.utils.translation import gettext as _

from marketplace.forms.schema_words import UNSET, Choice, label_of, text_of, words_of

_WHOLE: Final = re.compile(r"[+-]?\d{1,18}")
_NUMBER: Final = re.compile(r"[+-]?\d{1,18}(?:[.\u066b]\d{1,18})?")
_INPUTS: Final = {"email": "email", "uri": "url"}
_FEW: Final = 5


class Control(ABC):
    """One node of the schema. ``name`` is the field's name in the browser, ``path`` leads to it in a configuration."""

    kind: ClassVar[str] = ""
    choices: list[Choice]

    def __init__(self, node: Mapping[str, Any], *, name: str, path: tuple[str, ...], language: str) -> None:
        self.node, self.name, self.path = node, name, path
        self.label = words_of(node, "title", language) or (path[-1] if path else "")
        self.description = words_of(node, "description", language)
        self.is_required = False
        self.was_set = False
        self.default: Any = UNSET
        self.current: Any = UNSET
        self.errors: list[str] = []
        self.choices = []

    @property
    def id_for_label(self) -> str:
        return f"id_{self.name}"

    @property
    def described_by(self) -> str:
        """Return the ids of what explains this control to assistive technology."""
        known = {"hint": bool(self.hints), "error": bool(self.errors)}
        return " ".join(f"{self.id_for_label}-{part}" for part, is_there in known.items() if is_there)

    @property
    def is_advanced(self) -> bool:
        return bool(self.node.get("x-catalyst-advanced")) and not self.is_required

    @property
    def blank(self) -> Any:
        """What the configuration means when nothing is given here."""
        return self.default

    @property
    def hints(self) -> list[str]:
        """Return what is said below the label."""
        said = [self.description] if self.description else []
        if self.default is not UNSET and self.default not in ("", [], {}):
            said.append(_("Default: %(value)s") % {"value": label_of(self.default, self.choices)})
        if self.node.get("x-catalyst-restart"):
            said.append(_("A change restarts the Application."))
        return said

    def load(self, current: Any, *, default: Any = UNSET, is_required: bool = False) -> None:
        """Take over what is set now; ``UNSET`` when nothing is."""
        self.current, self.default, self.is_required = current, default, is_required
        self.was_set = current is not UNSET

    @abstractmethod
    def result(self, data: QueryDict) -> Any:
        """Return the value to write into the configuration, or ``UNSET``."""

    def walk(self) -> Iterator["Control"]:
        """Yield this control and all that are in use below it, in the order of the page."""
        yield self


class ValueControl(Control):
    """A node with one value of its own."""

    def result(self, data: QueryDict) -> Any:
        """Return the value to write into the configuration, or ``UNSET``."""
        value = self.read(data)
        is_plain = not self.is_required and not self.was_set
        return UNSET if is_plain and value is not UNSET and is_same(value, self.blank) else value

    @abstractmethod
    def read(self, data: QueryDict) -> Any:
        """Return what was sent for this node as a typed value, or as it was typed; ``UNSET`` when nothing was."""


class TextControl(ValueControl):
    """A text or a number. Left empty it means the default."""

    kind = "text"

    @property
    def is_long(self) -> bool:
        return self.node.get("x-catalyst-ui-hint") == "textarea"

    @property
    def is_number(self) -> bool:
        return self.node.get("type") in ("integer", "number")

    @property
    def attributes(self) -> dict[str, Any]:
        """Return what the element has besides its name and value."""
        node = self.node
        said: dict[str, Any] = {"maxlength": node["maxLength"]} if "maxLength" in node and not self.is_number else {}
        if not self.is_long:
            said["type"] = _INPUTS.get(node.get("format", ""), "text")
        if self.is_number:
            said["inputmode"] = "numeric" if node["type"] == "integer" else "decimal"
        is_latin = self.is_number or "format" in node or "pattern" in node
        return {**said, "dir": "ltr" if is_latin else "auto", "autocomplete": "off"}

    @property
    def hints(self) -> list[str]:
        said = super().hints
        low, high = self.node.get("minimum"), self.node.get("maximum")
        if self.is_number and low is not None and high is not None:
            said.append(_("From %(low)s to %(high)s") % {"low": low, "high": high})
        return said

    @property
    def shown(self) -> str:
        return text_of(self.current)

    def read(self, data: QueryDict) -> Any:
        text = data.get(self.name, "").replace("\r\n", "\n")
        self.current = text
        if self.is_number:
            return _number(text.strip(), is_whole=self.node["type"] == "integer")
        text = text if self.is_long else text.strip()
        return text if text.strip() else UNSET


class CheckControl(ValueControl):
    """Yes or no."""

    kind = "check"

    @property
    def blank(self) -> Any:
        return False if self.default is UNSET else self.default

    @property
    def is_checked(self) -> bool:
        return bool(self.blank if self.current is UNSET else self.current)

    def read(self, data: QueryDict) -> Any:
        self.current = self.name in data
        return self.current


class ChoiceControl(ValueControl):
    """One of several: radio buttons for a few, else a list. What is not one of them is handed on as it came."""

    kind = "choice"

    def __init__(self, *args: Any, choices: list[Choice], is_closed: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.choices = choices
        #: The schema does not know the choices, so this control says itself what is wrong.
        self._is_closed = is_closed

    @property
    def is_few(self) -> bool:
        return len(self.choices) <= _FEW

    @property
    def has_blank(self) -> bool:
        return not self.is_required and self.default is UNSET

    @property
    def chosen(self) -> str:
        return text_of(self.default if self.current is UNSET else self.current)

    def read(self, data: QueryDict) -> Any:
        text = data.get(self.name, "")
        self.current = text
        found = next((choice.value for choice in self.choices if choice.text == text), text)
        if self._is_closed and text and found == text and text not in {choice.text for choice in self.choices}:
            self.errors.append(_("Choose one of the list."))
        return found if text else UNSET


class ListControl(ValueControl):
    """Several texts, one in each line, or several of a few as checkboxes."""

    kind = "list"

    @property
    def blank(self) -> Any:
        return [] if self.default is UNSET else self.default

    @property
    def chosen(self) -> list[str]:
        value = self.blank if self.current is UNSET else self.current
        return [text_of(each) for each in value] if isinstance(value, list) else []

    @property
    def shown(self) -> str:
        return "\n".join(self.chosen)

    def read(self, data: QueryDict) -> Any:
        if self.choices:
            known = {choice.text: choice.value for choice in self.choices}
            self.current = [known.get(text, text) for text in data.getlist(self.name)]
        else:
            lines = (line.strip() for line in data.get(self.name, "").splitlines())
            self.current = [line for line in lines if line]
        return self.current


class FixedControl(ValueControl):
    """What can be chosen at the installation only, or is one constant: shown, never asked."""

    kind = "fixed"

    @property
    def shown(self) -> str:
        return label_of(self.default if self.current is UNSET else self.current, self.choices)

    @property
    def hints(self) -> list[str]:
        return [*([self.description] if self.description else []), _("Chosen at the installation; it stays as it is.")]

    def read(self, data: QueryDict) -> Any:
        return self.current


class ConstantControl(ValueControl):
    """A constant of the schema: there is nothing to ask."""

    kind = "constant"

    def read(self, data: QueryDict) -> Any:
        return self.node["const"]


def is_same(one: Any, other: Any) -> bool:
    """Tell whether two values are the same one; yes is not the number 1."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _number(text: str, *, is_whole: bool) -> Any:
    """Return the number that somebody typed, in any digits; what is none comes back as text."""
    if not text:
        return UNSET
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text.replace("\u066b", ".")) if not is_whole and _NUMBER.fullmatch(text) else text
