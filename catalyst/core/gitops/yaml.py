"""One safe YAML loader and one canonical dumper; nothing else in the project reads or writes YAML.

The loader accepts plain data only. Where YAML 1.1 and 1.2 readers disagree on a plain scalar (``yes``, ``0440``,
``12:30``, ``1e3``), it refuses instead of guessing. The dumper quotes every string, so that no reader can
read anything else.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, NoReturn

import yaml
from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError

MAX_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 20
MAX_NODES: Final = 50_000

_FIRST_KEYS: Final = ("apiVersion", "kind", "metadata", "spec")
_METADATA_KEYS: Final = ("name", "namespace", "labels", "annotations")

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,18})")
_DECIMAL = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,14})\.[0-9]{1,15}")
_AMBIGUOUS = re.compile(
    r"(?:y|n|yes|no|on|off|<<|=)"
    r"|[-+]?\.(?:inf|nan)"
    r"|[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?(?:e[-+]?[0-9]+)?|[-+]?\.[0-9][0-9_]*(?:e[-+]?[0-9]+)?"
    r"|[-+]?0[xob][0-9a-f_]+"
    r"|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt \t].*)?",
    re.IGNORECASE,
)
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")

#: With what a plain scalar begins that may mean anything but its text; "" is the empty one.
_SPECIAL: Final = frozenset("~-+.<=0123456789fFnNoOtTyY") | {""}

# libyaml only: PyYAML's own emitter may write other bytes for the same data.
_PARSER: Final = yaml.CSafeLoader
_EMITTER: Final = yaml.CSafeDumper


class YamlRefused(DomainError):
    """The text is not YAML of the safe subset; ``line`` counts from 1, 0 when no line is to blame.

    ``values`` is how many were read before that.
    """

    code = "yaml_refused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY

    def __init__(self, reason: str, *, line: int = 0, values: int = 0) -> None:
        super().__init__(_("Line %(line)d: %(reason)s") % {"line": line, "reason": reason} if line else reason)
        self.line, self.values = line, values


def load(source: bytes | str, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Any:
    """Read exactly one document.

    :raises YamlRefused: not UTF-8, too large or deep, aliases, tags, duplicate keys, or not exactly one document.
    """
    documents = load_documents(source, max_bytes=max_bytes, max_depth=max_depth)
    if len(documents) != 1:
        raise YamlRefused(_("Exactly one document is expected, there are %(count)d.") % {"count": len(documents)})
    return documents[0]


def load_documents(source: bytes | str, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> list[Any]:
    """Read a stream of documents under the same rules as ``load``.

    :raises YamlRefused: see ``load``.
    """
    return load_counted(source, max_bytes=max_bytes, max_depth=max_depth)[0]


def load_counted(
    source: bytes | str, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH, max_nodes: int = MAX_NODES
) -> tuple[list[Any], int]:
    """Read a stream of documents under the same rules as ``load``, and say how many values it has, keys included.

    :raises YamlRefused: see ``load``; or more than ``max_nodes`` values.
    """
    if len(source) > max_bytes:
        raise YamlRefused(_("The text is longer than %(limit)d bytes.") % {"limit": max_bytes})
    builder = _Builder(max_depth, max_nodes)
    try:
        text = source.decode() if isinstance(source, bytes) else source
        return builder.build(_events(text)), builder.nodes
    except YamlRefused as error:
        error.values = builder.nodes
        raise
    except UnicodeError:
        raise YamlRefused(_("The text is not UTF-8.")) from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise YamlRefused(error.problem or _("The text is not YAML."), line=line, values=builder.nodes) from None
    except yaml.YAMLError:
        raise YamlRefused(_("The text holds characters that YAML forbids."), values=builder.nodes) from None


class _Builder:
    """Turn parser events into plain data, one pass, without PyYAML's constructors.

    Every Blueprint is read by this several times, so it takes its events straight from the parser.
    """

    def __init__(self, max_depth: int, max_nodes: int) -> None:
        self._max_depth = max_depth
        self._max_nodes = max_nodes
        self.nodes = 0

    def build(self, events: Iterator[Any]) -> list[Any]:
        documents = []
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                if event.version or event.tags:
                    raise YamlRefused(_("Directives are not allowed."), line=_line(event))
                documents.append(self._node(next(events), events, 0))
        return documents

    def _node(self, event: Any, events: Iterator[Any], depth: int) -> Any:
        self.nodes += 1
        kind = type(event)
        if kind is yaml.AliasEvent or event.anchor is not None or event.tag is not None:
            self._refuse_reference(event)
        if depth > self._max_depth or self.nodes > self._max_nodes:
            self._refuse_size(event, depth)
        if kind is yaml.ScalarEvent:
            return event.value if event.style else _plain_value(event)  # libyaml says "", PyYAML None
        if kind is yaml.SequenceStartEvent:
            items = []
            while type(child := next(events)) is not yaml.SequenceEndEvent:
                items.append(self._node(child, events, depth + 1))
            return items
        return self._mapping(events, depth + 1)

    def _mapping(self, events: Iterator[Any], depth: int) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        while type(key_event := next(events)) is not yaml.MappingEndEvent:
            key = self._node(key_event, events, depth)
            if not isinstance(key, str):
                raise YamlRefused(_("A key must be text; put it in quotes."), line=_line(key_event))
            if key in mapping:
                raise YamlRefused(_("The key %(key)s stands twice.") % {"key": key[:80]}, line=_line(key_event))
            mapping[key] = self._node(next(events), events, depth)
        return mapping

    def _refuse_reference(self, event: Any) -> NoReturn:
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise YamlRefused(_("Anchors and aliases are not allowed."), line=_line(event))
        raise YamlRefused(_("Tags are not allowed."), line=_line(event))

    def _refuse_size(self, event: Any, depth: int) -> NoReturn:
        if depth > self._max_depth:
            raise YamlRefused(_("More than %(limit)d levels deep.") % {"limit": self._max_depth}, line=_line(event))
        raise YamlRefused(_("More than %(limit)d values.") % {"limit": self._max_nodes}, line=_line(event))


def _events(text: str) -> Iterator[Any]:
    """Yield the parser's events without the generator that ``yaml.parse`` puts around each."""
    return iter(_PARSER(text).get_event, None)


def _until(end: type[yaml.Event], events: Iterator[Any]) -> Iterator[Any]:
    for event in events:
        if isinstance(event, end):
            return
        yield event


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _plain_value(event: Any) -> Any:
    text: str = event.value
    if text[:1] not in _SPECIAL:
        return text
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INTEGER.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text):
        return float(text)
    if _AMBIGUOUS.fullmatch(text):
        reason = _("Put %(text)s in quotes: readers of YAML disagree on what it means.") % {"text": text[:80]}
        raise YamlRefused(reason, line=_line(event))
    return text


def find_lines(source: bytes | str) -> list[dict[str, int]]:
    """Return for each document of a stream the line (from 1) of every value by its path, like ``spec.depends.0.alias``.

    The path of a whole document is empty. Call it on text that ``load_documents`` accepts: it has no limits of its own.
    """
    events = _events(source.decode() if isinstance(source, bytes) else source)
    found = []
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            lines: dict[str, int] = {}
            _note_lines(next(events), events, "", lines)
            found.append(lines)
    return found


def _note_lines(event: Any, events: Iterator[Any], path: str, lines: dict[str, int]) -> None:
    # A value of a block mapping starts below its key; people look for the key.
    lines.setdefault(path, _line(event))
    if isinstance(event, yaml.SequenceStartEvent):
        for index, child in enumerate(_until(yaml.SequenceEndEvent, events)):
            _note_lines(child, events, f"{path}.{index}" if path else str(index), lines)
    elif isinstance(event, yaml.MappingStartEvent):
        for key in _until(yaml.MappingEndEvent, events):
            place = f"{path}.{key.value}" if path else str(key.value)
            lines.setdefault(place, _line(key))
            _note_lines(next(events), events, place, lines)


def dump(data: Any, *, header: str = "") -> bytes:
    """Write one document in the canonical form; equal data gives equal bytes whatever the order of its keys.

    Mapping keys: ``apiVersion``, ``kind``, ``metadata``, ``spec`` first, then alphabetical; lists keep their order.

    :raises YamlRefused: floats, dates, keys that are not text, lone surrogates: nothing but plain data is written.
    """
    text = yaml.serialize(
        _represent(data, ()), Dumper=_EMITTER, allow_unicode=True, width=-1, indent=2, line_break="\n"
    )
    comment = "".join(f"# {line}\n" for line in header.splitlines())
    try:
        return f"{comment}{text}".encode()
    except UnicodeEncodeError:
        raise YamlRefused(_("The text is not UTF-8.")) from None


def dump_checked(data: Any, *, header: str = "", max_bytes: int = MAX_BYTES) -> bytes:
    """Write one document and read it back: what a reader will see is exactly ``data``.

    :raises YamlRefused: not plain data, longer than ``max_bytes``, or the text does not mean the data.
    """
    content = dump(data, header=header)
    if _fingerprint(load(content, max_bytes=max_bytes)) != _fingerprint(data):
        raise YamlRefused(_("The written text does not mean what was to be written."))
    return content


def _fingerprint(data: Any) -> str:
    # Unlike ==, this tells True from 1.
    return json.dumps(data, sort_keys=True)


def _represent(value: Any, parents: tuple[str, ...]) -> yaml.Node:
    if value is None:
        return yaml.ScalarNode("tag:yaml.org,2002:null", "null")
    if isinstance(value, bool):
        return yaml.ScalarNode("tag:yaml.org,2002:bool", "true" if value else "false")
    if isinstance(value, int):
        return yaml.ScalarNode("tag:yaml.org,2002:int", str(value))
    if isinstance(value, str):
        return _represent_text(value, '"')
    if len(parents) > MAX_DEPTH:
        raise YamlRefused(_("More than %(limit)d levels deep.") % {"limit": MAX_DEPTH})
    if isinstance(value, Mapping):
        pairs = [(_represent_key(key), _represent(value[key], (*parents, key))) for key in _ordered(value, parents)]
        return yaml.MappingNode("tag:yaml.org,2002:map", pairs, flow_style=False)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        items = [_represent(item, (*parents, "")) for item in value]
        return yaml.SequenceNode("tag:yaml.org,2002:seq", items, flow_style=False)
    raise YamlRefused(_("Values of type %(type)s are never written.") % {"type": type(value).__name__})


def _represent_key(key: str) -> yaml.Node:
    is_plain = _PLAIN_KEY.fullmatch(key) and key not in _NULL | _TRUE | _FALSE and not _AMBIGUOUS.fullmatch(key)
    return _represent_text(key, None if is_plain else '"')


def _represent_text(text: str, style: str | None) -> yaml.Node:
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise YamlRefused(_("The text is not UTF-8."))
    return yaml.ScalarNode("tag:yaml.org,2002:str", str(text), style=style)


def _ordered(mapping: Mapping[Any, Any], parents: tuple[str, ...]) -> list[str]:
    if not all(isinstance(key, str) for key in mapping):
        raise YamlRefused(_("A key must be text; put it in quotes."))
    first = _METADATA_KEYS if parents and parents[-1] == "metadata" else _FIRST_KEYS
    rank = {key: position for position, key in enumerate(first)}
    return sorted(mapping, key=lambda key: (rank.get(key, len(rank)), key))
