"""Whatever a user types arrives in the objects as that very text: parse(render(x)) = x."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalyst.core.gitops import yaml
from marketplace.manifests.facts import ManifestsRefused

from .render_blueprints import render_acme

HOSTILE = [
    "---",
    "--- {{ .Values }}\n...\n---\nkind: Secret",
    "{{ now }}",
    "line\nbreak\n\n  indented: yes\n",
    "\u2028\u2029",
    "1e3",
    "0x1F",
    "0440",
    "1_000",
    "12:30",
    "2026-01-01",
    "yes",
    "no",
    "on",
    "off",
    "y",
    "null",
    "~",
    "true",
    ".nan",
    "1.50",
    "",
    " ",
    "# comment",
    "&a *b !!str",
    "'\"\\",
    "$(HOSTNAME) ${X}",
    "عربي\u200f\u200c",
    "\ufeffx",
    "\t\r",
    "- a\n- b",
    "?:[]{},|>%@`",
    "a" * 5000,
]


def title_of(files: dict[str, bytes]) -> tuple[str, str]:
    made = {item["kind"]: item for item in yaml.load(files["apps/handbook/objects.yaml"])["items"]}
    environment = made["Deployment"]["spec"]["template"]["spec"]["containers"][0]["env"]
    return environment[0]["value"], made["ConfigMap"]["data"]["title"]


@pytest.mark.asvs("1.2.1")
@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_survives_kustomize_and_our_files(value: str) -> None:
    files = render_acme(config={"title": value})

    assert title_of(files) == (value, value)
    assert yaml.load(files["apps/handbook/application.yaml"])["spec"]["config"] == {"title": value}


@pytest.mark.asvs("1.2.1")
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"), max_size=60))
def test_any_text_survives(value: str) -> None:
    files = render_acme(config={"title": value})

    assert title_of(files) == (value, value)
    assert len(yaml.load(files["apps/handbook/objects.yaml"])["items"]) == 7


@pytest.mark.parametrize("value", ["\x00", "a\x1bb", "\x7f", "\x85", "\ufffe", "\ud800"])
def test_control_characters_are_refused_because_kustomize_changes_them(value: str) -> None:
    with pytest.raises(ManifestsRefused, match=r"config\.title holds a control character"):
        render_acme(config={"title": value})


@pytest.mark.asvs("13.3.1")
def test_a_plain_secret_is_refused_before_it_can_reach_git() -> None:
    with pytest.raises(ManifestsRefused, match=r"config\.adminPassword is a secret") as refusal:
        render_acme(config={"adminPassword": "canary-7f3a"})
    assert "canary-7f3a" not in refusal.value.message


def test_the_reference_to_a_secret_stays_in_the_intent_only() -> None:
    files = render_acme(config={"adminPassword": {"secret": "org/acme/env/prod/handbook"}})

    assert [path for path, content in files.items() if b"adminPassword" in content] == [
        "apps/handbook/application.yaml"
    ]
