"""The rules of the code that no linter knows. Source: docs/house-style.md."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
APPS = ("tenancy", "marketplace", "billing")
APP_MODULES = {
    "__init__",
    "admin",
    "api",
    "apps",
    "forms",
    "management",
    "manifests",
    "migrations",
    "models",
    "projections",
    "selectors",
    "services",
    "tasks",
    "urls",
    "views",
}
BANNED_MODULES = {"utils", "helpers", "managers", "signals", "handlers"}
#: The only caller of Celery, whose failures cost latency and nothing else.
DOORBELL = {"catalyst/core/doorbell.py"}
LONGEST_FILE = 400
LONGEST_FUNCTION = 40

Function = ast.FunctionDef | ast.AsyncFunctionDef


def _sources() -> list[Path]:
    files = [file for folder in ("catalyst", *APPS) for file in sorted((ROOT / folder).rglob("*.py"))]
    return [file for file in files if "migrations" not in file.parts]


def _name(file: Path) -> str:
    return str(file.relative_to(ROOT))


def _functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _calls(tree: ast.AST, *names: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in names:
            yield node


@pytest.mark.parametrize("app", APPS)
def test_an_app_has_the_modules_of_the_house(app: str) -> None:
    found = {
        entry.stem for entry in (ROOT / app).iterdir() if entry.suffix == ".py" or (entry / "__init__.py").exists()
    }

    assert found - APP_MODULES == set()


def test_no_module_is_called_by_a_word_that_means_nothing() -> None:
    assert [_name(file) for file in _sources() if BANNED_MODULES & {file.stem, file.parent.name}] == []


def test_no_file_is_too_long() -> None:
    counted = {_name(file): len(file.read_text().splitlines()) for file in _sources()}

    assert {name: lines for name, lines in counted.items() if lines > LONGEST_FILE} == {}


def test_no_function_is_too_long() -> None:
    long = [
        f"{_name(file)}:{function.lineno} {function.name}"
        for file in _sources()
        for function in _functions(ast.parse(file.read_text()))
        if (function.end_lineno or 0) - function.lineno + 1 > LONGEST_FUNCTION
    ]

    assert long == []


def test_every_transaction_says_what_it_is() -> None:
    silent = []
    for file in _sources():
        tree = ast.parse(file.read_text())
        said = {
            id(call.func)
            for call in _calls(tree, "atomic")
            if {keyword.arg for keyword in call.keywords} & {"durable", "savepoint"}
        }
        silent += [
            f"{_name(file)}:{node.lineno}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and node.attr == "atomic" and id(node) not in said
        ]

    assert silent == []


def test_only_the_doorbell_rings_celery() -> None:
    ringing = {
        _name(file)
        for file in _sources()
        for _call in _calls(ast.parse(file.read_text()), "delay", "apply_async", "send_task")
    }

    assert ringing - DOORBELL == set()


def test_nothing_is_imported_inside_a_function() -> None:
    hidden = [
        f"{_name(file)}:{node.lineno}"
        for file in _sources()
        for function in _functions(ast.parse(file.read_text()))
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]

    assert hidden == []
