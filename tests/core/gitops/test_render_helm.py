"""Helm on files in memory: offline, bounded, and nothing of a chart can hurt the process that asks."""

import time

import pytest

from catalyst.core.gitops import helm
from catalyst.core.gitops.build import build

CHART = {"Chart.yaml": b"apiVersion: v2\nname: notes\nversion: 1.0.0\n", "values.yaml": b"size: 1\nword: own\n"}


def render(template: str, **files: str) -> str:
    chart = {**CHART, "templates/a.yaml": template.encode()}
    chart |= {path: content.encode() for path, content in files.items()}
    made = helm.template(chart, values={"size": 2}, release="handbook", namespace="dev-handbook")
    return made["notes/templates/a.yaml"]


def test_renders_with_the_values_above_the_chart_s_own() -> None:
    text = "{{ .Values.size }} {{ .Values.word }} {{ .Release.Name }} {{ .Release.Namespace }} {{ .Release.IsInstall }}"

    assert render(text, **{"templates/NOTES.txt": "for people"}) == "2 own handbook dev-handbook true"


def test_asks_no_cluster_and_no_network() -> None:
    text = '{{ lookup "v1" "Secret" "a" "b" | toJson }} {{ getHostByName "localhost" | quote }}'

    assert render(text) == '{} ""'


def test_dependencies_are_what_lies_inside() -> None:
    chart = CHART["Chart.yaml"].decode() + (
        "dependencies:\n- {name: sub, version: 1.0.0, repository: 'https://127.0.0.1:9/', condition: sub.on}\n"
    )
    inside = {
        "charts/sub/Chart.yaml": "apiVersion: v2\nname: sub\nversion: 1.0.0\n",
        "charts/sub/templates/b.yaml": "b",
    }
    files = {path: text.encode() for path, text in {**inside, "Chart.yaml": chart}.items()}

    def made(**values: object) -> list[str]:
        return list(helm.template({**CHART, **files}, values=values, release="r", namespace="n"))

    assert made() == ["notes/charts/sub/templates/b.yaml"]
    assert made(sub={"on": False}) == []


def test_says_why_a_chart_does_not_render() -> None:
    with pytest.raises(helm.HelmRefused, match=r"templates/a\.yaml.*\n?.*wanted"):
        render('{{ fail "wanted" }}')


@pytest.mark.asvs("15.2.2")
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{{ range until 100000 }}{{ range until 100000 }}{{ end }}{{ end }}", "to render"),
        ('a: {{ repeat 1000000000 "x" }}', "to render"),
        ("{{ range until 3 }}{{ repeat 1000000 `x` }}{{ end }}", "renders to more"),
        ('{{ define "x" }}{{ include "x" . }}{{ end }}{{ include "x" . }}', "does not render"),
    ],
    ids=["endless", "memory", "output", "recursion"],
)
def test_a_hostile_chart_hurts_nobody(monkeypatch: pytest.MonkeyPatch, text: str, why: str) -> None:
    monkeypatch.setattr(helm, "CPU_SECONDS", 1)

    with pytest.raises(helm.HelmRefused, match=why):
        render(text)

    assert render("{{ .Values.size }}") == "2"  # the control: this process renders on


def test_gives_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helm, "DEADLINE_SECONDS", 0.001)
    started = time.monotonic()

    with pytest.raises(helm.HelmUnavailable):
        render("only here")

    assert time.monotonic() - started < 5


@pytest.mark.parametrize("path", ["../outside.yaml", "/tmp/outside.yaml", "charts/sub/values.schema.json"])
def test_refuses_files_that_reach_out(path: str) -> None:
    with pytest.raises(helm.HelmRefused, match=r"refused|outside"):
        render("a", **{path: "{}"})


def test_builds_a_release_beside_kustomize() -> None:
    files = {f"chart/{path}": content for path, content in CHART.items()}
    files["chart/templates/a.yaml"] = b"a: {{ .Values.deep.x }}"
    files["chart/templates/b.yaml"] = b"b: {{ .Release.Name }}"
    files["release.yaml"] = b"name: handbook\nnamespace: dev-handbook\nvalues: {deep: {x: 3}}\n"

    assert build(files) == b"a: 3\n---\nb: handbook"


def test_remembers_what_it_rendered_and_renders_afresh_when_asked() -> None:
    chart = {**CHART, "templates/a.yaml": b"{{ uuidv4 }}"}

    def made(*, is_fresh: bool = False) -> str:
        given = helm.template(chart, values={}, release="r", namespace="n", is_fresh=is_fresh)
        return given["notes/templates/a.yaml"]

    first = made()
    assert made() == first
    assert made(is_fresh=True) != first
