"""``tests/integration.yaml`` and ``tests/upgrade.yaml``: configurations, and what must come of them.

A case renders the Blueprint and compares; no cluster is needed. ``path`` is a JSON pointer inside the object::

    cases:
      - name: title
        size: small
        config: {title: Books}
        expect:
          - {object: ConfigMap/app-settings, path: /data/TITLE, equals: Books}

In ``tests/upgrade.yaml`` each case has ``from``, one of the ranges of ``upgrades.from``: its configuration was made for
the newest published version of that range, and must fit and render in this one.

Source: blueprints.md §7 of the design, rules S06, T01 and T02.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from catalyst.core.gitops.yaml import YamlRefused, find_lines, load
from marketplace.selectors.version_ranges import is_allowed, parse_version
from marketplace.services.blueprint_contract import Finding
from marketplace.services.blueprint_contract.config_values import check_values
from marketplace.services.blueprint_lint.rendering import SIZES, Renderer, RenderFailed
from marketplace.services.blueprint_lint.rules import broken
from marketplace.services.blueprint_lint.subject import Subject, line_of

INTEGRATION: Final = "tests/integration.yaml"
UPGRADE: Final = "tests/upgrade.yaml"
TEST_FILES: Final = (INTEGRATION, UPGRADE)
_MOST: Final = 10
_MAX_BYTES: Final = 32 * 1024
_KEYS: Final = frozenset({"name", "size", "config", "expect", "from"})


@dataclass(frozen=True, slots=True)
class _Case:
    rule: str
    file: str
    line: int
    place: str
    data: Mapping[str, Any]

    def finding(self, detail: str, *, rule: str = "") -> Finding:
        return broken(rule or self.rule, self.file, self.place, line=self.line, detail=detail)


def check_integration(subject: Subject, render: Renderer) -> Iterator[Finding]:
    """Yield T01 and S06: each case is sound, fits the schema, and gives what it expects."""
    cases, findings = _read(subject, INTEGRATION, "BP-T01")
    yield from findings
    for case in cases:
        yield from _run(subject, case, render)


def check_upgrade(subject: Subject, render: Renderer) -> Iterator[Finding]:
    """Yield T02: every range of ``upgrades.from`` with a published version has a case, and each case holds."""
    ranges = subject.contract.upgrades.allowed_from
    earlier = subject.shelf.earlier(subject.contract)
    needed = [text for text in ranges if any(is_allowed(each.version, text) for each in earlier)]
    if not needed and UPGRADE not in subject.files:
        return
    cases, findings = _read(subject, UPGRADE, "BP-T02")
    yield from findings
    told = {case.data.get("from") for case in cases}
    for text in needed:
        if text not in told and not findings:
            yield broken("BP-T02", UPGRADE, "cases", detail=text)
    for case in cases:
        wanted = case.data.get("from")
        if not isinstance(wanted, str) or wanted not in ranges:
            yield case.finding(str(wanted)[:80])
            continue
        matching = [each for each in earlier if is_allowed(each.version, wanted)]
        newest = max(matching, key=lambda each: parse_version(each.version), default=None)
        schema = (newest.spec.get("configSchema") or {}) if newest else {}
        for problem in check_values(schema, case.data.get("config") or {}) if newest else ():
            yield case.finding(f"{newest.version if newest else ''} {problem.path}: {problem.message}")
        yield from _run(subject, case, render)


@lru_cache(maxsize=64)
def told_by_cases(content: bytes) -> tuple[tuple[str, Mapping[str, Any], Any], ...]:
    """Return size, configuration and expectations of each sound case of a file; whoever gets them only reads."""
    try:
        document = _load(content)[0]
    except YamlRefused:
        return ()
    cases = document.get("cases") if isinstance(document, Mapping) else None
    sound = [case for case in cases if _is_case(case)][:_MOST] if isinstance(cases, list) else []
    return tuple((case.get("size", "small"), case.get("config", {}), case["expect"]) for case in sound)


@lru_cache(maxsize=64)
def _load(content: bytes) -> tuple[Any, Mapping[str, int]]:
    """Return a file's document and its lines; whoever gets them only reads.

    :raises YamlRefused: it is not one short YAML document of the safe subset.
    """
    return load(content, max_bytes=_MAX_BYTES, max_depth=12), find_lines(content)[0]


def _read(subject: Subject, path: str, rule: str) -> tuple[list[_Case], list[Finding]]:
    content = subject.files.get(path)
    if content is None:
        return [], [broken(rule, path)]
    try:
        document, lines = _load(content)
    except YamlRefused as error:
        return [], [broken(rule, path, line=error.line, detail=error.message)]
    items = document.get("cases") if isinstance(document, Mapping) and set(document) == {"cases"} else None
    if not isinstance(items, list) or not 0 < len(items) <= _MOST:
        return [], [broken(rule, path, "cases", detail=f"1-{_MOST}")]
    cases, findings = [], []
    for index, data in enumerate(items):
        place = f"cases.{index}"
        case = _Case(rule, path, line_of(lines, place), place, data if isinstance(data, Mapping) else {})
        if _is_case(data):
            cases.append(case)
        else:
            findings.append(case.finding("name, size, config, expect"))
    return cases, findings


def _is_case(data: Any) -> bool:
    if not isinstance(data, Mapping) or not set(data) <= _KEYS or not isinstance(data.get("name"), str):
        return False
    expected = data.get("expect")
    return (
        data.get("size", "small") in SIZES
        and isinstance(data.get("config", {}), Mapping)
        and isinstance(expected, list)
        and 0 < len(expected) <= 2 * _MOST
        and all(_is_expectation(each) for each in expected)
    )


def _is_expectation(data: Any) -> bool:
    if not isinstance(data, Mapping) or not isinstance(data.get("object"), str):
        return False
    if set(data) == {"object"}:
        return True
    return set(data) == {"object", "path", "equals"} and str(data["path"]).startswith("/")


def _run(subject: Subject, case: _Case, render: Renderer) -> Iterator[Finding]:
    config = case.data.get("config", {})
    problems = check_values(subject.contract.config_schema, config)
    for problem in problems:
        yield case.finding(f"{problem.path}: {problem.message}", rule="BP-S06")
    if problems:
        return
    size = case.data.get("size", "small")
    try:
        objects = render(size, config)
    except RenderFailed as error:
        yield case.finding(str(error))
        return
    yield from _compare(case, objects)


def _compare(case: _Case, objects: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    made = {f"{item['kind']}/{item['metadata']['name']}": item for item in objects}
    for expected in case.data["expect"]:
        item = made.get(expected["object"])
        if item is None:
            yield case.finding(expected["object"][:120])
        elif "path" in expected and (found := _at(item, expected["path"])) != expected["equals"]:
            yield case.finding(f"{expected['object']}{expected['path']}: {str(found)[:80]}")


def _at(item: Any, pointer: str) -> Any:
    value = item
    for step in pointer.removeprefix("/").split("/"):
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value
