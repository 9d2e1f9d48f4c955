"""What one commit changed, and what an Environment was at a commit: read from its repository when somebody asks.

Nothing is written, and a repository that is not there is not made. Source: gitops.md §10 and §12 of the design.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pygit2
from django.utils.translation import gettext as _

from catalyst.core.errors import NotFound, Unavailable
from catalyst.core.gitops.repository import (
    BareRepository,
    ObjectMissing,
    PathRefused,
    RepositoryUnavailable,
    open_repository,
)
from catalyst.core.gitops.yaml import YamlRefused
from marketplace.manifests.facts import ManifestsRefused
from marketplace.manifests.reading import STATED_PATHS, Stated, read_stated
from marketplace.models import Change
from marketplace.services.changes_repository import repository_path
from marketplace.services.preview_parts import manifest_diff
from tenancy.models import Environment


class RepositoryUnreadable(Unavailable):
    """The repository of an Environment does not give what was asked of it now; the Environment runs on."""

    code = "repository_unreadable"


@dataclass(frozen=True, slots=True)
class PastState:
    """An Environment as the commit of ``change`` left it. ``is_current``: it still is like that."""

    change: Change
    applications: tuple[Stated, ...]
    is_current: bool


def read_diff(change: Change) -> dict[str, Any]:
    """Return what became of every file with the commit of a Change, and the objects that went; empty before it.

    :raises RepositoryUnreadable: the repository does not give it now.
    """
    if not change.commit:
        return manifest_diff({}, {})
    with _repository(change.environment) as repository:
        before = repository.read_tree(change.base_commit) if change.base_commit else {}
        after = repository.read_tree(change.commit)
    return manifest_diff(before, after)


def read_past(environment: Environment, commit: str) -> PastState:
    """Return what ran by the word of one commit: versions of the lock, and what was asked for.

    :raises NotFound: no Change of this Environment has this commit.
    :raises RepositoryUnreadable: the repository does not give it now.
    """
    changes = Change.objects.filter(environment=environment).exclude(commit="").select_related("author")
    change = changes.filter(commit=commit).first()
    if change is None:
        raise NotFound(_("There is no such saved change in this Environment."))
    with _repository(environment) as repository:
        stated = read_stated(repository.read_tree(commit, matching=STATED_PATHS))
    applications = tuple(stated[name] for name in sorted(stated))
    return PastState(change, applications, commit == environment.head_commit)


@contextmanager
def _repository(environment: Environment) -> Iterator[BareRepository]:
    try:
        yield open_repository(repository_path(environment))
    except (RepositoryUnavailable, ObjectMissing, PathRefused, ManifestsRefused, YamlRefused) as error:
        raise _unreadable() from error
    except (pygit2.GitError, KeyError, ValueError, OSError) as error:
        # A pack or an object that is broken, or that somebody moves right now.
        raise _unreadable() from error


def _unreadable() -> RepositoryUnreadable:
    return RepositoryUnreadable(_("The Git repository cannot be read now. Try again in a moment."), retry_after=10)
