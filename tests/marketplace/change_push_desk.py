"""A member with a real git program, a clone of an Environment's repository, and a server to push to."""

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from catalyst.core.gitops.change_branches import list_branches
from catalyst.core.gitops.push_protocol import NOTHING
from catalyst.core.gitops.yaml import dump, load
from marketplace.models import Application, ApplicationEdit, Change, ChangePreview
from marketplace.selectors import change_costs
from marketplace.services.change_push import receive_change_push
from tenancy.models import Membership, Organization, User
from tests.factories import MembershipFactory
from tests.marketplace.deliver_rows import LATER, Desk
from tests.marketplace.push_desk import git, token_for
from tests.marketplace.upgrade_rows import needs, publish, ready, settings_of

BRANCH = "change/colors"


def intent(name: str, blueprint: str, constraint: str, **more: Any) -> bytes:
    """Return an ``application.yaml`` as a person writes it."""
    spec = {"blueprint": f"bp-{blueprint}", "constraint": constraint, **more}
    document = {"apiVersion": "catalyst.openova.io/v1alpha1", "kind": "Application", "metadata": {"name": name}}
    return dump({**document, "spec": spec})


def path_of(name: str) -> str:
    return f"apps/{name}/application.yaml"


def open_wiki_desk(organization: Organization, buyer: User) -> Desk:
    """Sell a wiki on a shared database; a notice board can be had besides."""
    publish("sql", "1.0.0", kind="service")
    secret = {"type": "string", "title": "key", "x-catalyst-ui-hint": "password"}
    schema = settings_of("title", "slogan", mailKey=secret)
    publish("wiki", "1.2.0", depends=[needs("sql", "^1.0", "db")], spec={"configSchema": schema})
    publish(
        "wiki",
        "1.3.0",
        depends=[needs("sql", "^1.0", "db")],
        spec={"configSchema": schema, "upgrades": {"from": ["1.x"]}},
    )
    publish("board", "1.0.0", spec={"configSchema": settings_of("color", *(f"v{number}" for number in range(40)))})
    desk = Desk(organization, buyer)
    ready(desk, desk.deliver(desk.order("OMN-2026-000001", "bp-wiki")))
    return desk


@dataclass
class ChangeDesk:
    """``folder`` is a clone of the repository of ``desk``'s Environment; ``user`` pushes from it."""

    desk: Desk
    folder: Path
    user: User
    server: str = "http://nowhere.example"
    token: str = field(init=False)

    def __post_init__(self) -> None:
        self.token = token_for(self.user)
        git("clone", "--quiet", str(self.desk.repository().path), str(self.folder), folder=self.folder.parent)

    def address(self, token: str = "") -> str:
        return f"{self.server.replace('http://', f'http://me:{token or self.token}@')}/git/acme/acme-prod.git"

    def commit(self, files: dict[str, bytes | None] | None = None, *, message: str = "x") -> str:
        """Commit everything in the folder, with these files written first (None: deleted); return the commit."""
        for path, content in (files or {}).items():
            target = self.folder / path
            if content is None:
                target.unlink()
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        git("add", "--all", "--force", folder=self.folder)
        git("commit", "--quiet", "--allow-empty", f"--message={message}", folder=self.folder)
        return self.head()

    def edited(self, name: str = "wiki", **changes: Any) -> dict[str, bytes | None]:
        """Return the file of an Application that stands, with these parts of its ``spec`` changed."""
        document = load((self.folder / path_of(name)).read_bytes())
        document["spec"] |= changes
        return {path_of(name): dump(document)}

    def head(self) -> str:
        return git("rev-parse", "HEAD", folder=self.folder).stdout.strip()

    def reset(self, commit: str = "origin/main") -> None:
        git("reset", "--quiet", "--hard", commit, folder=self.folder)

    def push(
        self, *options: str, source: str = f"HEAD:refs/heads/{BRANCH}", token: str = ""
    ) -> subprocess.CompletedProcess[str]:
        return git("push", *options, self.address(token), source, folder=self.folder)

    def send(self, **how: Any) -> str:
        """Push without a server; return what the person reads, with ``ok`` or ``ng`` of the branch in it."""
        return self.receive(self.body(**how))

    def body(self, *, branch: str = BRANCH, options: tuple[str, ...] = (), more: tuple[str, ...] = ()) -> bytes:
        """Return what the git program sends when it pushes the newest commit; ``more`` are objects besides."""
        old, new = self.branches().get(branch, NOTHING), self.head()
        wanted = "".join(f"{each}\n" for each in (new, *more, f"^{self.desk.environment().head_commit}"))
        packed = subprocess.run(
            ["git", "pack-objects", "--revs", "--stdout", "-q", "--thin"],
            cwd=self.folder, input=wanted.encode(), capture_output=True, check=True,
        ).stdout  # fmt: skip
        knows = " push-options" if options else ""
        line = f"{old} {new} refs/heads/{branch}\0 report-status side-band-64k{knows}\n".encode()
        said = b"".join(f"{len(each) + 4:04x}{each}".encode() for each in options) + (b"0000" if options else b"")
        return f"{len(line) + 4:04x}".encode() + line + b"0000" + said + packed

    def receive(self, body: bytes, *, user: User | None = None, may_apply: bool = True) -> str:
        answered = receive_change_push(
            environment=self.desk.environment(),
            body=body,
            pusher=user or self.user,
            may_apply=may_apply,
            address=lambda preview: f"https://cloud.example.om/{preview.pk}",
            now=LATER,
        )
        return re.sub(r"[0-9a-f]{4}(?=[\x01\x02])[\x01\x02]", "", answered.decode())

    def branches(self) -> dict[str, str]:
        return list_branches(self.desk.repository().path)

    def objects(self) -> set[str]:
        """Return every file that the server's object store has."""
        root = self.desk.repository().path / "objects"
        return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}

    def everything(self) -> tuple[Any, ...]:
        """Return all that a refused push must leave as it is."""
        counts = [model.objects.count() for model in (Application, ApplicationEdit, Change, ChangePreview)]
        previews = sorted(ChangePreview.objects.values_list("pk", "state", "expires_at"))
        environment = self.desk.environment()
        main = self.desk.repository().head()
        return counts, previews, environment.head_commit, main, self.branches(), self.objects()


def sell_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take what an Application costs out of the way: who may buy is no matter of a push."""
    monkeypatch.setattr(change_costs, "_sources", [])
    monkeypatch.setattr(change_costs, "_purchases", [])


def open_change_desk(desk: Desk, folder: Path, role: str = Membership.Role.DEVELOPER, server: str = "") -> ChangeDesk:
    """Let a new member of this role push to the Environment."""
    member = MembershipFactory.create(organization=desk.organization, role=role).user
    return ChangeDesk(desk, folder, member, server or "http://nowhere.example")
