"""Each rule of publishing is broken alone, and the linter names that rule, its file and its line."""

from typing import Any

import pytest

from catalyst.core.gitops import helm
from marketplace.services.blueprint_lint import RULES, is_refused
from tests.marketplace.chart_cases import CHART_CASES
from tests.marketplace.lint_cases import CASES, UPGRADE, Edit, container
from tests.marketplace.lint_draft import DIGEST, good


@pytest.fixture(autouse=True)
def _short_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helm, "CPU_SECONDS", 1)


def _flat(cases: dict[str, list[Edit]]) -> list[Any]:
    return [
        pytest.param(rule, edit, id=f"{rule}-{index}")
        for rule, edits in sorted(cases.items())
        for index, edit in enumerate(edits)
    ]


def test_the_draft_breaks_nothing() -> None:
    assert good().findings() == ()


def test_every_rule_has_a_case() -> None:
    assert set(CASES) | set(CHART_CASES) == set(RULES)


@pytest.mark.parametrize(("rule", "edit"), _flat(CASES))
def test_names_the_one_rule_that_is_broken(rule: str, edit: Edit) -> None:
    draft = good()
    edit(draft)

    findings = draft.findings()

    assert {each.rule for each in findings} == {rule}
    assert all(each.problem and each.fix for each in findings)
    assert is_refused(findings) is not RULES[rule].is_warning


@pytest.mark.parametrize(("rule", "edit"), _flat(CHART_CASES))
def test_names_the_one_rule_that_a_chart_breaks(rule: str, edit: Edit) -> None:
    draft = good()
    edit(draft)

    findings = draft.findings()

    assert {each.rule for each in findings} == {rule}
    assert is_refused(findings)


def test_a_chart_that_breaks_nothing() -> None:
    draft = good()
    draft.use_chart(
        "{{ if .Values.metrics.enabled }}\napiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\n"
        "metadata: {name: app}\n{{ end }}\n",
        values="metrics: {enabled: false}\n",
    )
    draft.spec["observability"]["metrics"] = "prometheus"

    assert draft.findings() == ()


def test_reports_everything_at_once() -> None:
    draft = good()
    draft.document["metadata"]["version"] = "v1"
    draft.spec["colour"] = "red"
    draft.files.pop("card/description.md")
    draft.write("card/icon.svg", "<svg/>")
    draft.base("extra.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: app-x}\n")

    assert draft.rules() == {"BP-N01", "BP-N04", "BP-C01", "BP-C03", "BP-X03"}


def test_names_file_and_line() -> None:
    draft = good()
    draft.raw = draft.contents()["blueprint.yaml"].replace(b'category: "knowledge-base"', b'category: "nowhere"')
    draft.change("manifests/base/others.yaml", "{name: app-data}", "{name: app-data, namespace: x}")

    found = {(each.rule, each.file, each.line, each.field) for each in draft.findings()}

    line = draft.raw.decode().splitlines().index('    category: "nowhere"') + 1
    assert found == {
        ("BP-C02", "blueprint.yaml", line, "spec.card.category"),
        ("BP-M11", "manifests/base/others.yaml", 16, "metadata.namespace"),
    }


def test_an_exact_release_without_a_digest_is_a_warning() -> None:
    draft = good()
    container(image="docker.io/library/handbook:2.4.1-alpine")(draft)

    findings = draft.findings()

    assert {(each.rule, each.is_warning) for each in findings} == {("BP-M09", True)}
    assert not is_refused(findings)


def test_the_same_bytes_may_be_published_again() -> None:
    draft = good()
    findings = draft.findings()
    draft.publish("bp-other", "1.2.0", digest=DIGEST)

    assert draft.findings() == findings


def test_an_older_release_may_be_allowed_or_blocked() -> None:
    draft = good()
    draft.publish("bp-handbook", "1.1.0", files=draft.earlier())
    draft.spec["upgrades"] = {"from": ["1.1.x"], "blocks": ["<1.1.0"]}
    draft.write("tests/upgrade.yaml", UPGRADE)

    assert draft.findings() == ()


def test_keeps_the_refusals_when_there_is_too_much_to_say() -> None:
    draft = good()
    draft.spec |= {f"unknown{number}": 1 for number in range(300)}

    findings = draft.findings()

    assert len(findings) == 200
    assert all(each.rule == "BP-N04" and not each.is_warning for each in findings)
