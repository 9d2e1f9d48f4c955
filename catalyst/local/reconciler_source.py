"""What Flux's source-controller does: fetch ``main`` over smart HTTP with a read-only credential."""

import base64
from pathlib import Path

from catalyst.core.gitops.http_backend import git_environment, git_program
from catalyst.core.gitops.process import Program
from catalyst.core.gitops.repository import open_or_create

_MAIN = "+refs/heads/main:refs/heads/main"


class SourceUnavailable(Exception):
    """The repository could not be fetched; it is tried again."""


def fetch_main(url: str, *, token: str, folder: Path) -> tuple[str, dict[str, bytes]]:
    """Fetch ``main`` of the repository at ``url`` into the bare repository ``folder``; return its commit and files.

    :raises SourceUnavailable: no answer, no right, or nothing on ``main`` yet.
    """
    repository = open_or_create(folder)
    credential = base64.b64encode(f"flux:{token}".encode()).decode()
    # By the environment, never by an argument: every user of the machine sees those.
    environment = git_environment({"http.extraHeader": f"Authorization: Basic {credential}"})
    environment["GIT_ALLOW_PROTOCOL"] = "http:https"
    arguments = [git_program(), "fetch", "--quiet", "--depth", "1", "--no-tags", "--", url, _MAIN]
    program = Program(arguments, folder=folder, environment=environment)
    code = program.wait()
    head = repository.head() if code == 0 else None
    if head is None:
        raise SourceUnavailable(f"git fetch {url} ended with {code}.")
    return head, repository.read_tree(head)
