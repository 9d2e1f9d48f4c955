"""A failpoint is one that is registered, and does nothing outside tests.

That each one of money is come to: tests/billing/test_crash_matrix.py.
"""

import ast
from pathlib import Path
from typing import Any

import pytest

from catalyst.core import failpoints
from catalyst.core.failpoints import REGISTRY, armed, crash, fp

ROOT = Path(__file__).resolve().parents[2]


def test_a_point_in_the_code_is_registered() -> None:
    """Literal names only; a name that is put together is refused when it is reached."""
    unknown = {
        f"{file.relative_to(ROOT)}: {node.args[0].value!r}"
        for app in ("billing", "marketplace", "tenancy", "catalyst")
        for file in sorted((ROOT / app).rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "fp"
        if isinstance(node.args[0], ast.Constant) and node.args[0].value not in REGISTRY
    }

    assert unknown == set()


def test_an_unknown_point_is_refused() -> None:
    with pytest.raises(LookupError):
        fp("checkout.T9.in_tx")
    with pytest.raises(LookupError), armed("checkout.T9.in_tx", crash):
        pass


def test_outside_tests_a_point_does_nothing(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failpoints, "hits", {})
    monkeypatch.setenv("CATALYST_FAILPOINT", "checkout.T1.in_tx=exit")
    settings.FAILPOINTS_ENABLED = False

    with armed("checkout.T1.in_tx", crash):
        fp("checkout.T1.in_tx")

    assert failpoints.hits == {}
