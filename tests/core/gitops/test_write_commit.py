"""Commits into a bare repository: deterministic, only allowed paths, only touched folders."""

import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pygit2
import pytest

from catalyst.core.gitops.message import Person
from catalyst.core.gitops.repository import (
    BareRepository,
    ObjectMissing,
    PathRefused,
    RepositoryUnavailable,
    changes_between,
    open_or_create,
    open_repository,
)

WHEN = datetime(2026, 3, 1, 12, 0, 0, 987654, tzinfo=UTC)
ALLOWED = re.compile(r"README\.md|apps/[a-z]+/[a-z]+\.yaml")
MONA = Person("Mona", "1@users.example.om")
CATALYST = Person("Catalyst", "catalyst@example.om")


def commit(repository: BareRepository, parent: str | None, changes: dict[str, bytes | None], message: str = "x") -> str:
    return repository.write_commit(
        parent, changes, allowed=ALLOWED, author=MONA, committer=CATALYST, message=message, when=WHEN
    )


@pytest.fixture
def repository(tmp_path: Path) -> BareRepository:
    return open_or_create(tmp_path / "acme" / "acme-prod.git")


def count_objects(repository: BareRepository) -> int:
    return sum(1 for path in (repository.path / "objects").glob("??/*") if path.is_file())


def test_makes_a_bare_repository_that_git_accepts(repository: BareRepository) -> None:
    sha = commit(repository, None, {"README.md": b"hello\n", "apps/wiki/objects.yaml": b"a\n"})
    repository.update_branch(None, sha)

    checked = subprocess.run(
        ["git", "-C", str(repository.path), "fsck", "--strict"], capture_output=True, text=True, check=True
    )
    listed = subprocess.run(
        ["git", "-C", str(repository.path), "ls-tree", "-r", "main"], capture_output=True, text=True, check=True
    )
    assert checked.stdout == ""
    assert [line.split()[0] + line.split("\t")[1] for line in listed.stdout.splitlines()] == [
        "100644README.md",
        "100644apps/wiki/objects.yaml",
    ]
    assert repository.head() == sha


def test_opening_again_finds_the_same_repository(repository: BareRepository) -> None:
    sha = commit(repository, None, {"README.md": b"x"})
    repository.update_branch(None, sha)

    assert open_or_create(repository.path).head() == sha


def test_equal_input_gives_an_equal_sha(repository: BareRepository, tmp_path: Path) -> None:
    files: dict[str, bytes | None] = {"apps/a/b.yaml": b"1", "README.md": b"2"}

    first = commit(repository, None, files)
    again = commit(repository, None, dict(reversed(files.items())))
    elsewhere = commit(open_or_create(tmp_path / "other.git"), None, files)

    assert first == again == elsewhere


def test_a_crash_between_object_and_branch_is_repeated_without_harm(repository: BareRepository) -> None:
    base = commit(repository, None, {"README.md": b"1"})
    repository.update_branch(None, base)
    lost = commit(repository, base, {"README.md": b"2"})
    objects = count_objects(repository)

    revived = open_repository(repository.path)
    assert revived.head() == base
    again = commit(revived, base, {"README.md": b"2"})
    revived.update_branch(base, again)

    assert again == lost
    assert count_objects(revived) == objects
    assert [entry.sha for entry in revived.log_first_parent(again)] == [lost, base]


def test_changes_apply_and_empty_folders_vanish(repository: BareRepository) -> None:
    base = commit(repository, None, {"README.md": b"1", "apps/a/x.yaml": b"1", "apps/b/x.yaml": b"2"})

    sha = commit(repository, base, {"apps/a/x.yaml": None, "apps/b/y.yaml": b"3", "apps/c/gone.yaml": None})

    assert repository.read_tree(sha) == {"README.md": b"1", "apps/b/x.yaml": b"2", "apps/b/y.yaml": b"3"}
    assert repository.read_tree(sha, matching=re.compile("apps/b/x.*")) == {"apps/b/x.yaml": b"2"}
    assert repository.read_file(sha, "apps/b/y.yaml") == b"3"
    assert repository.read_file(sha, "apps/a/x.yaml") is None
    assert repository.read_file(sha, "apps") is None


def test_changes_between_two_trees_are_what_a_commit_needs(repository: BareRepository) -> None:
    base = {"README.md": b"1", "apps/a/x.yaml": b"1"}
    target = {"README.md": b"1", "apps/b/x.yaml": b"2"}

    changes = changes_between(base, target)

    assert changes == {"apps/a/x.yaml": None, "apps/b/x.yaml": b"2"}
    parent = commit(repository, None, dict(base))
    assert repository.write_tree(parent, changes, allowed=ALLOWED) == repository.write_tree(
        None, dict(target), allowed=ALLOWED
    )


def test_only_touched_folders_are_written(repository: BareRepository) -> None:
    base = commit(repository, None, {f"apps/{name}/x.yaml": name.encode() for name in ("a", "b", "c", "d")})
    before = count_objects(repository)

    commit(repository, base, {"apps/a/x.yaml": b"new"})

    assert count_objects(repository) - before == 5  # blob, apps/a, apps, root, commit


def test_dates_are_utc_and_whole_seconds(repository: BareRepository) -> None:
    sha = commit(repository, None, {"README.md": b"1"}, message="subject\n\n> why\n")

    found = next(repository.log_first_parent(sha))
    assert (found.when, found.author, found.committer) == (WHEN.replace(microsecond=0), MONA, CATALYST)
    assert (found.message, found.parents) == ("subject\n\n> why\n", ())


def test_refuses_a_time_without_a_zone(repository: BareRepository) -> None:
    with pytest.raises(ValueError, match="time zone"):
        repository.write_commit(
            *(None, {"README.md": b"1"}),
            allowed=ALLOWED,
            author=MONA,
            committer=MONA,
            message="x",
            when=datetime(2026, 1, 1),  # noqa: DTZ001
        )


@pytest.mark.asvs("5.3.2")
@pytest.mark.parametrize(
    "path",
    [
        *("../x", "/README.md", "apps/../README.md", "apps//x.yaml", "README.md/", "", ".", "./README.md", "apps/a"),
        *(".git/config", ".GIT/hooks/pre-commit", "apps/.gitmodules", ".gitattributes", "readme.md", "README.md\n"),
        *("apps/a/x.yaml\x00", "apps/a/..yaml", "-option", "apps\\a\\x.yaml"),
    ],
)
def test_refuses_a_path_off_the_list(repository: BareRepository, path: str) -> None:
    before = count_objects(repository)

    with pytest.raises(PathRefused):
        commit(repository, None, {"README.md": b"1", path: b"2"})
    assert count_objects(repository) == before


@pytest.mark.asvs("5.3.2")
@pytest.mark.parametrize("path", [".git/config", "a/.GIT/x", "../x", "a/../b", "a//b"])
def test_refuses_git_names_even_when_the_list_is_too_wide(repository: BareRepository, path: str) -> None:
    with pytest.raises(PathRefused):
        repository.write_tree(None, {path: b"x"}, allowed=re.compile(r"(?s).*"))


def test_refuses_a_path_that_is_file_and_folder(repository: BareRepository) -> None:
    with pytest.raises(PathRefused, match="at once"):
        repository.write_tree(None, {"a": b"x", "a/b": b"y"}, allowed=re.compile(".*"))


@pytest.mark.parametrize("mode", [pygit2.enums.FileMode.LINK, pygit2.enums.FileMode.BLOB_EXECUTABLE])
def test_refuses_to_read_anything_but_plain_files(repository: BareRepository, mode: int) -> None:
    raw = pygit2.Repository(str(repository.path))
    builder = raw.TreeBuilder()
    builder.insert("x", raw.create_blob(b"/etc/passwd"), mode)
    who = pygit2.Signature("x", "x@example.org", 0, 0)
    sha = str(raw.create_commit(None, who, who, "x", builder.write(), []))

    with pytest.raises(PathRefused, match="not a plain file"):
        repository.read_tree(sha)


@pytest.mark.parametrize("name", ["0" * 40, "main", "HEAD", "a" * 39, "--help", ""])
def test_refuses_what_is_no_commit(repository: BareRepository, name: str) -> None:
    with pytest.raises(ObjectMissing):
        repository.read_tree(name)


@pytest.mark.parametrize("branch", ["../../x", "refs/heads/main", "change/", "change/a/b", "HEAD", "main\n", "tags/x"])
def test_refuses_other_branches(repository: BareRepository, branch: str) -> None:
    with pytest.raises(PathRefused):
        repository.head(branch)


def test_a_missing_repository_says_so(tmp_path: Path) -> None:
    with pytest.raises(RepositoryUnavailable):
        open_repository(tmp_path / "none.git")
