"""Run inside the product's environment: milliseconds of one commit at 500 and at 5,000 commits of history."""

import json
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import pygit2

from catalyst.core.gitops.message import Person
from catalyst.core.gitops.repository import BareRepository, open_or_create
from marketplace.manifests.paths import ALLOWED_PATHS

_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_MEASURED = 60
_APPLICATIONS = 20
_PLATFORM = Person("Catalyst", "platform@example.om")


def main(place: str) -> None:
    folder = Path(place)
    shutil.rmtree(folder, ignore_errors=True)
    repository = open_or_create(folder)
    taken = {}
    done = 0
    for size in (500, 5_000):
        # Only what is measured waits for the disk.
        pygit2.settings.enable_fsync_gitdir(False)
        while done < size:
            _commit(repository, done)
            done += 1
        pygit2.settings.enable_fsync_gitdir(True)
        times = []
        for _ in range(_MEASURED):
            started = time.perf_counter()
            _commit(repository, done)
            times.append((time.perf_counter() - started) * 1000)
            done += 1
        taken[str(size)] = median(times)
    shutil.rmtree(folder)
    print(json.dumps(taken))


def _commit(repository: BareRepository, number: int) -> None:
    """Write what an upgrade of one Application writes, and move the branch."""
    name, head = f"app-{number % _APPLICATIONS}", repository.head()
    text = f"number: {number}\n".encode()
    changes: dict[str, bytes | None] = {
        f"apps/{name}/application.yaml": text,
        f"apps/{name}/objects.yaml": text * 400,
        f"apps/{name}/kustomization.yaml": b"resources: [objects.yaml]\n",
        f"flux/{name}.yaml": text,
        ".catalyst/lock.yaml": text * 60,
    }
    sha = repository.write_commit(
        head,
        changes,
        allowed=ALLOWED_PATHS,
        author=_PLATFORM,
        committer=_PLATFORM,
        message=f"upgrade {name}\n\nCatalyst-Seq: {number + 1}\n",
        when=_BEGIN + timedelta(minutes=number),
    )
    repository.update_branch(head, sha)
