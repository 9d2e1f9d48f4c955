"""Where a value stands in a YAML text: the line of its key, the line of a list's entry, documents apart."""

from catalyst.core.gitops.yaml import find_lines


def test_names_keys_and_entries() -> None:
    source = b"kind: a\nspec:\n  list:\n    - {name: x}\n    - name: y\n  inner:\n    deep: 1\n"

    assert find_lines(source) == [
        {
            "": 1,
            "kind": 1,
            "spec": 2,
            "spec.list": 3,
            "spec.list.0": 4,
            "spec.list.0.name": 4,
            "spec.list.1": 5,
            "spec.list.1.name": 5,
            "spec.inner": 6,
            "spec.inner.deep": 7,
        }
    ]


def test_tells_documents_apart() -> None:
    assert find_lines("a: 1\n---\nb: 2\n") == [{"": 1, "a": 1}, {"": 3, "b": 3}]


def test_finds_nothing_in_nothing() -> None:
    assert find_lines("") == []
