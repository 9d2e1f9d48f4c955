"""The canonical form: one spelling for one meaning, and no reader can read anything else."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalyst.core.gitops import yaml

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
DATA = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


def test_writes_the_canonical_form() -> None:
    data = {
        "spec": {"z": 1, "a": ["x", {"name": "n", "on": True}], "empty": {}, "none": None},
        "metadata": {"labels": {"b": "2", "a": "1"}, "annotations": {}, "zone": "z", "namespace": "ns", "name": "app"},
        "data": {"on": "yes", "a key": "line\nbreak"},
        "kind": "Example",
        "apiVersion": "v1",
    }

    assert yaml.dump(data, header="Do not edit.\nReally.").decode() == (
        "# Do not edit.\n# Really.\n"
        'apiVersion: "v1"\nkind: "Example"\n'
        'metadata:\n  name: "app"\n  namespace: "ns"\n  labels:\n    a: "1"\n    b: "2"\n'
        '  annotations: {}\n  zone: "z"\n'
        'spec:\n  a:\n  - "x"\n  - name: "n"\n    "on": true\n  empty: {}\n  none: null\n  z: 1\n'
        'data:\n  "a key": "line\\nbreak"\n  "on": "yes"\n'
    )


def test_equal_data_gives_equal_bytes_whatever_the_order_of_keys() -> None:
    assert yaml.dump({"b": 1, "a": 2}) == yaml.dump({"a": 2, "b": 1})


def test_long_text_is_not_folded_and_repeated_data_is_no_alias() -> None:
    shared = {"text": "word " * 400}

    content = yaml.dump({"one": shared, "two": shared}).decode()

    assert content.count("\n") == 4
    assert "&" not in content


@settings(max_examples=200, deadline=None)
@given(DATA)
def test_what_is_written_reads_back_as_itself(data: object) -> None:
    assert yaml.load(yaml.dump_checked(data)) == data


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        float("nan"),
        date(2026, 1, 1),
        datetime(2026, 1, 1, tzinfo=UTC),
        b"bytes",
        {1: "x"},
        {"a": {None: 1}},
        {1, 2},
    ],
)
def test_refuses_what_is_not_plain_data(value: object) -> None:
    with pytest.raises(yaml.YamlRefused):
        yaml.dump({"a": value})


def test_refuses_lone_surrogates() -> None:
    with pytest.raises(yaml.YamlRefused, match="UTF-8"):
        yaml.dump({"a": "\ud800"})


def test_refuses_what_is_too_long_for_a_file() -> None:
    with pytest.raises(yaml.YamlRefused, match="longer"):
        yaml.dump_checked({"a": "x" * 300}, max_bytes=200)
