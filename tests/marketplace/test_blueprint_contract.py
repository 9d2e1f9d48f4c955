"""``blueprint.yaml`` is read strictly: each refusal names its rule, its field, and what to do."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from catalyst.core.gitops.yaml import dump, load
from marketplace.services.blueprint_contract import ContractRefused, Dependency, parse_contract

GOOD = b"""
apiVersion: catalyst.openova.io/v1alpha1
kind: Blueprint
metadata: {name: bp-handbook, version: 1.2.0}
spec:
  owner: {team: apps, contact: apps@example.om}
  card:
    title: Handbook
    tagline: {en: Books of know-how, ar: "\xd9\x83\xd8\xaa\xd8\xa8"}
    category: knowledge-base
    tags: [wiki, docs]
    icon: card/icon.svg
    license: MIT
    documentation: https://example.org/handbook
  footprint: {memoryMiB: 256, cpuMilli: 250, diskGiB: 2}
  pricing: {monthlyBaisa: 2000}
  configSchema:
    type: object
    properties:
      cache:
        type: boolean
        title: Cache
        description: Faster
        default: false
        x-catalyst-i18n: {ar: {title: "\xd8\xa3", description: "\xd8\xa8"}}
  depends:
    - {blueprint: bp-mysql, version: ^1.2, alias: db, sharing: shared}
  manifests:
    source: {kind: Kustomize, path: manifests}
"""
_WORDS = {"title": "T", "description": "D", "x-catalyst-i18n": {"ar": {"title": "ع", "description": "و"}}}


def changed(edit: Callable[[dict[str, Any]], object]) -> bytes:
    document = load(GOOD)
    edit(document)
    return dump(document)


def findings(source: bytes) -> set[tuple[str, str]]:
    with pytest.raises(ContractRefused) as refusal:
        parse_contract(source)
    assert all(each.problem and each.fix for each in refusal.value.findings)
    return {(each.rule, each.field) for each in refusal.value.findings}


def with_property(schema: dict[str, Any]) -> bytes:
    return changed(lambda document: document["spec"]["configSchema"]["properties"].update(extra=schema))


def test_reads_a_whole_contract() -> None:
    contract = parse_contract(GOOD)

    assert (contract.name, contract.version, contract.kind) == ("bp-handbook", "1.2.0", "application")
    assert contract.visibility == "listed"
    assert contract.depends == (Dependency("bp-mysql", "^1.2", "db", "shared"),)
    assert contract.footprint.as_json() == {"memory_mib": 256, "cpu_milli": 250, "disk_gib": 2}
    assert contract.monthly_minor == 2000
    assert contract.exposes is None


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (("metadata", "name"), "handbook", ("BP-N01", "metadata.name")),
        (("metadata", "name"), "bp-Hand", ("BP-N01", "metadata.name")),
        (("metadata", "name"), "bp-handbook\n", ("BP-N01", "metadata.name")),
        (("metadata", "name"), "bp-catalyst-core", ("BP-N05", "metadata.name")),
        (("metadata", "name"), "bp-bundle-office", ("BP-N05", "metadata.name")),
        (("metadata", "version"), "v1.2.0", ("BP-N01", "metadata.version")),
        (("metadata", "version"), "1.2.0+build", ("BP-N01", "metadata.version")),
        (("kind",), "Bluprint", ("BP-N04", "kind")),
        (("spec", "colour"), "red", ("BP-N04", "spec.colour")),
        (("spec", "x-catalyst-secret"), "red", ("BP-N04", "spec.x-catalyst-secret")),
        (("spec", "visibility"), "hidden", ("BP-N04", "spec.visibility")),
        (("spec", "card", "tagline"), "English only", ("BP-C01", "spec.card.tagline.ar")),
        (("spec", "card", "documentation"), "http://example.org", ("BP-C01", "spec.card.documentation")),
        (("spec", "card", "icon"), "https://example.org/i.svg", ("BP-C03", "spec.card.icon")),
        (("spec", "card", "icon"), "../icon.svg", ("BP-C03", "spec.card.icon")),
        (("spec", "card", "tags"), ["a"] * 2, ("BP-C01", "spec.card.tags")),
        (("spec", "pricing", "monthlyBaisa"), 190, ("BP-P01", "spec.pricing.monthlyBaisa")),
        (("spec", "pricing", "monthlyBaisa"), 2005, ("BP-P01", "spec.pricing.monthlyBaisa")),
        (("spec", "pricing", "monthlyBaisa"), True, ("BP-P01", "spec.pricing.monthlyBaisa")),
        (("spec", "footprint", "diskGiB"), "2", ("BP-P01", "spec.footprint.diskGiB")),
        (("spec", "manifests", "source", "kind"), "OAM", ("BP-M01", "spec.manifests.source.kind")),
        (("spec", "manifests", "source", "path"), "/etc", ("BP-M01", "spec.manifests.source.path")),
    ],
)
def test_names_the_rule_and_the_field(path: tuple[str, ...], value: Any, expected: tuple[str, str]) -> None:
    def edit(document: dict[str, Any]) -> None:
        for key in path[:-1]:
            document = document[key]
        document[path[-1]] = value

    assert expected in findings(changed(edit))


@pytest.mark.parametrize("text", ["", "v1", "*", ">=1", "latest", "1.2.3+b"])
def test_refuses_ranges_without_end_or_meaning(text: str) -> None:
    source = changed(lambda document: document["spec"]["depends"][0].update(version=text))

    assert ("BP-D01", "spec.depends.0.version") in findings(source)


def test_reads_conditions_and_values() -> None:
    words = {"when": "{{ .config.cache == true }}", "values": {"name": "{{ .application.name }}", "plain": ["x"]}}
    contract = parse_contract(changed(lambda document: document["spec"]["depends"][0].update(words)))

    assert contract.depends[0].when == "{{ .config.cache == true }}"
    assert contract.depends[0].values == {"name": "{{ .application.name }}", "plain": ["x"]}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("when", "{{ .config.missing == true }}"),
        ("when", "{{ .Values.cache }}"),
        ("when", "{{ if .config.cache }}"),
        ("when", "__import__('os')"),
        ("values", {"name": "{{ .config.missing }}"}),
        ("values", {"name": "{{ .organization.name }}"}),
        ("values", {"name": "db-{{ .application.name }}"}),
        ("values", {"name": "{{ .application.name | quote }}"}),
        ("values", {"deep": [{"name": "{{ now }}"}]}),
        ("values", ["x"]),
    ],
)
def test_refuses_conditions_and_values_that_nothing_can_answer(key: str, value: Any) -> None:
    source = changed(lambda document: document["spec"]["depends"][0].update({key: value}))

    assert findings(source) == {("BP-D05", f"spec.depends.0.{key}")}


def test_reads_a_chart_with_values_for_each_size() -> None:
    manifests = {"source": {"kind": "HelmChart", "path": "chart"}, "overlays": {"large": {"replicas": 3}}}
    contract = parse_contract(changed(lambda document: document["spec"].update(manifests=manifests)))

    assert contract.manifests is not None
    assert (contract.manifests.kind, contract.manifests_path) == ("HelmChart", "chart")
    assert contract.manifests.overlays["large"].values == {"replicas": 3}


def test_refuses_values_beside_a_kustomize_base() -> None:
    source = changed(lambda document: document["spec"]["manifests"].update(overlays={"large": {"replicas": 3}}))

    assert findings(source) == {("BP-N04", "spec.manifests.overlays.large.replicas")}


def test_reads_upgrades_and_rotation() -> None:
    more = {
        "upgrades": {"from": ["1.1.x"], "blocks": ["<1.1.0"]},
        "rotation": [{"kind": "app-key", "name": "app-key", "ttl": "180d"}],
    }
    contract = parse_contract(changed(lambda document: document["spec"].update(more)))

    assert (contract.upgrades.allowed_from, contract.upgrades.blocks) == (("1.1.x",), ("<1.1.0",))
    assert contract.rotation[0].ttl_days == 180


def test_refuses_an_alias_that_stands_twice() -> None:
    source = changed(lambda document: document["spec"]["depends"].append(document["spec"]["depends"][0]))

    assert findings(source) == {("BP-D03", "spec.depends.1.alias")}


def test_service_must_say_what_it_offers() -> None:
    source = changed(lambda document: document["spec"].update(kind="service"))

    assert findings(source) == {("BP-D06", "spec.exposes")}


def test_keeps_foreign_x_fields() -> None:
    assert parse_contract(changed(lambda document: document["spec"].update({"x-team": "blue"}))).name == "bp-handbook"


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "$ref": "#/x"},
        {"type": "string", "anyOf": []},
        {"type": ["string", "null"]},
        {"type": "object", "additionalProperties": True},
        {"type": "string", "format": "ipv4"},
        {"type": "string", "maxLength": 64, "pattern": "(a+)+"},
        {"type": "string", "maxLength": 64, "pattern": "((a+))+"},
        {"type": "string", "maxLength": 64, "pattern": "(a|a)*"},
        {"type": "string", "maxLength": 64, "pattern": "(?:a{1,9}){2,9}"},
        {"type": "string", "maxLength": 64, "pattern": "a*a*a*b"},
        {"type": "string", "maxLength": 64, "pattern": "a{9999}"},
        {"type": "string", "maxLength": 64, "pattern": "(a)\\1"},
        {"type": "string", "pattern": "[a-z]+"},
        {"type": "string", "minLength": "1"},
        {"type": "string", "x-catalyst-advanced": "yes"},
        {"type": "string", "x-catalyst-ui-filter": {"blueprint": "bp-x"}},
        {"type": "string", "x-catalyst-ui-hint": "application-ref"},
        {"type": "boolean", "x-catalyst-ui-hint": "textarea"},
        {"type": "array"},
        {"type": "string", "enum": ["a", "a"]},
        {"type": "object", "dependentRequired": {"a": "b"}},
        {"type": "string", "pattern": "(?=a)b"},
        {"type": "string", "pattern": "a" * 129},
        {"type": "string", "pattern": "("},
        {"type": "string", "enum": []},
        {"type": "array", "items": {"type": "object"}},
        {"type": "string", "x-catalyst-ui-hint": "slider"},
    ],
)
def test_refuses_schemas_outside_the_subset(schema: dict[str, Any]) -> None:
    assert "BP-S01" in {rule for rule, _field in findings(with_property({**schema, **_WORDS}))}


def test_refuses_a_schema_that_is_too_deep() -> None:
    inner: dict[str, Any] = {"type": "string", **_WORDS}
    for _level in range(4):
        inner = {"type": "object", "properties": {"inner": inner}, **_WORDS}

    assert "BP-S01" in {rule for rule, _field in findings(with_property(inner))}


def test_explains_each_property_in_both_languages() -> None:
    assert findings(with_property({"type": "string", "title": "T", "description": "D"})) == {
        ("BP-S02", "spec.configSchema.properties.extra")
    }


def test_refuses_a_default_that_breaks_its_schema() -> None:
    schema = {"type": "integer", "minimum": 1, "default": 0, **_WORDS}

    assert findings(with_property(schema)) == {("BP-S03", "spec.configSchema.properties.extra.default")}


def test_secret_has_no_default_and_stays_in_its_environment() -> None:
    schema = {"type": "string", "x-catalyst-ui-hint": "password", "default": "secret", **_WORDS}

    rules = {rule for rule, _field in findings(with_property(schema))}
    assert rules == {"BP-S04", "BP-S05"}


@pytest.mark.parametrize(
    "source",
    [
        b"",
        b"[]",
        b"a: &x 1\nb: *x\n",
        b"a: 1\na: 2\n",
        b"!!python/object:os.system {}",
        b"a: " + b"[" * 99,
        b"x" * 70_000,
    ],
)
def test_refuses_bytes_that_are_no_plain_document(source: bytes) -> None:
    assert findings(source)


def test_names_the_line_of_broken_yaml() -> None:
    with pytest.raises(ContractRefused) as refusal:
        parse_contract(b"kind: Blueprint\nkind: Blueprint\n")

    assert refusal.value.findings[0].line == 2


def _places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path] * bool(path) + [place for key, child in children for place in _places(child, (*path, key))]


@pytest.mark.parametrize("odd", [None, [], {}, 7, "", "x", [[]], [{}], {"a": []}, {"a": {"b": None}}, True])
def test_answers_odd_values_anywhere_with_nothing_but_a_refusal(odd: Any) -> None:
    source = changed(
        lambda document: document["spec"]["configSchema"].update(
            required=["cache"], oneOf=[{"properties": {"cache": {"const": True}}}]
        )
    )
    for place in _places(load(source)):
        document = load(source)
        parent = document
        for key in place[:-1]:
            parent = parent[key]
        parent[place[-1]] = odd

        # Some odd values are fine where they stand; nothing but a refusal may come of the others.
        with suppress(ContractRefused):
            parse_contract(dump(document))


@pytest.mark.parametrize(
    "pattern", ["^[a-z]+$", "^[a-z][a-z0-9]*-?[a-z]*$", r"^\(?[0-9]{3}\)? [0-9]{4,8}$", "^(?:a|b)$"]
)
def test_keeps_patterns_that_are_always_fast(pattern: str) -> None:
    parse_contract(with_property({"type": "string", "maxLength": 64, "pattern": pattern, **_WORDS}))
