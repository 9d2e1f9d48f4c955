"""A developer with a real git program, a copy of ``shared-blueprints``, and a server to push to."""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.utils import timezone

from catalyst.core.gitops.push_protocol import NOTHING
from catalyst.core.gitops.yaml import dump, load
from marketplace.models import BlueprintVersion, Category
from marketplace.services.source_repositories import open_shared, open_sovereign, repository_path
from tenancy.models import Membership, Organization, User
from tenancy.services.tokens import issue_token
from tests.factories import MembershipFactory
from tests.marketplace.catalogue_rows import add_blueprint
from tests.marketplace.lint_draft import good

NAME = "bp-handbook"
SHARED = "acme/shared-blueprints"


def blueprint_files(
    name: str = NAME, version: str = "1.0.0", *, visibility: str = "private", depends: Sequence[Any] = (), **card: Any
) -> dict[str, bytes]:
    """Return the files of a small Blueprint that passes every rule."""
    draft = good().rename(name)
    draft.document["metadata"]["version"] = version
    draft.spec["visibility"] = visibility
    draft.spec["depends"] = list(depends)
    draft.spec["card"] |= {"title": name.removeprefix("bp-").title(), **card}
    return draft.contents()


def next_version(files: dict[str, bytes], version: str) -> dict[str, bytes]:
    """Return the files of a later version that every 1.x may move to."""
    document = load(files["blueprint.yaml"])
    document["metadata"]["version"] = version
    document["spec"]["upgrades"] = {"from": ["1.x"]}
    case = b"cases: [{name: from any, from: 1.x, expect: [{object: Deployment/app}]}]\n"
    return {**files, "blueprint.yaml": dump(document), "tests/upgrade.yaml": case}


def git(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the git program as a person would, with no configuration of this machine."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    environment |= {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    for who in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{who}_NAME": "Dev", f"GIT_{who}_EMAIL": "dev@acme.example"}
    return subprocess.run(["git", *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


def token_for(user: User, **limits: Any) -> str:
    return issue_token(user=user, actor=user, now=timezone.now(), **limits)[1]


@dataclass
class PushDesk:
    """``folder`` is a copy of the repository at ``place``; ``user`` pushes from it."""

    server: str
    folder: Path
    user: User
    place: str = SHARED
    token: str = field(init=False)

    def __post_init__(self) -> None:
        self.token = token_for(self.user)
        self.folder.mkdir()
        git("init", "--quiet", "--initial-branch=main", folder=self.folder)

    def address(self, token: str = "") -> str:
        return f"{self.server.replace('http://', f'http://me:{token or self.token}@')}/git/{self.place}.git"

    def write(self, files: dict[str, bytes], *, below: str = f"{NAME}/") -> None:
        for path, content in files.items():
            target = self.folder / f"{below}{path}"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)

    def commit(self, files: dict[str, bytes] | None = None, *, below: str = f"{NAME}/", message: str = "x") -> str:
        """Commit everything in the folder, with these files written first; return the commit."""
        self.write(files or {}, below=below)
        git("add", "--all", folder=self.folder)
        git("commit", "--quiet", "--allow-empty", f"--message={message}", folder=self.folder)
        return self.head()

    def head(self) -> str:
        return git("rev-parse", "HEAD", folder=self.folder).stdout.strip()

    def push(
        self, *options: str, token: str = "", source: str = "HEAD:refs/heads/main"
    ) -> subprocess.CompletedProcess[str]:
        return git("push", *options, self.address(token), source, folder=self.folder)

    def repository(self) -> Path:
        owner, name = self.place.split("/")
        if owner == "catalog-sovereign":
            return repository_path(open_sovereign(name))
        return repository_path(open_shared(Organization.objects.get(slug=owner)))

    def main(self) -> str:
        """Return where ``main`` of the server is."""
        reference = self.repository() / "refs/heads/main"
        return reference.read_text().strip() if reference.exists() else ""

    def objects(self) -> set[str]:
        """Return every file that the server's object store has."""
        root = self.repository() / "objects"
        return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def open_push_desk(
    server: str, folder: Path, organization: Organization, role: str = Membership.Role.DEVELOPER
) -> PushDesk:
    """Let somebody of this role push to the Organization's Blueprints; the shelf has a category and bp-mysql."""
    Category.objects.get_or_create(slug="knowledge-base", defaults={"title_en": "Knowledge base"})
    if not BlueprintVersion.objects.filter(blueprint__name="bp-mysql").exists():
        add_blueprint("mysql", kind="service", price=None)
    member = MembershipFactory.create(organization=organization, role=role).user
    return PushDesk(server, folder, member, f"{organization.slug}/shared-blueprints")


def said(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return what the server told the person at the terminal."""
    lines = [line for line in done.stderr.splitlines() if line.startswith("remote: ")]
    return [line.removeprefix("remote: ").rstrip() for line in lines]


def push_body(desk: PushDesk, *, old: str = "", new: str = "") -> bytes:
    """Return what the git program sends when it pushes ``new`` (the newest commit) onto ``old``."""
    new = new or desk.head()
    wanted = f"{new}\n^{old}\n" if old else f"{new}\n"
    packed = subprocess.run(
        ["git", "pack-objects", "--revs", "--stdout", "-q"],
        cwd=desk.folder,
        input=wanted.encode(),
        capture_output=True,
        check=True,
    ).stdout
    line = f"{old or NOTHING} {new} refs/heads/main\0 report-status side-band-64k\n".encode()
    return f"{len(line) + 4:04x}".encode() + line + b"0000" + packed
