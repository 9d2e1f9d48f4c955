"""The real git program clones an Environment with an API token; whoever may not, learns nothing."""

import base64
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from marketplace.models import Change
from tenancy.models import Membership, Organization, Sovereign, User
from tenancy.services.tokens import issue_token, revoke_token
from tests.factories import MembershipFactory, OrganizationFactory
from tests.marketplace.deliver_rows import Desk, open_desk

pytestmark = pytest.mark.django_db(transaction=True)

REFS = "/git/acme/acme-prod.git/info/refs?service=git-upload-pack"


@pytest.fixture
def change(sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any) -> Change:
    desk: Desk = open_desk(organization, org_admin)
    return desk.deliver(now=timezone.now())


def token_for(user: User, **limits: Any) -> str:
    return issue_token(user=user, actor=user, now=timezone.now(), **limits)[1]


def ask(password: str, path: str = REFS) -> Any:
    credential = base64.b64encode(f"anybody:{password}".encode()).decode()
    return Client().get(path, headers={"Authorization": f"Basic {credential}"})


def git(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    environment |= {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    return subprocess.run(["git", *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=60)


def address(live_server: Any, password: str, path: str = "acme/acme-prod") -> str:
    return f"{live_server.url.replace('http://', f'http://me:{password}@')}/git/{path}.git"


def test_clones_the_commit(change: Change, org_admin: User, live_server: Any, tmp_path: Path) -> None:
    done = git("clone", "--quiet", address(live_server, token_for(org_admin)), "copy", folder=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    log = git("log", "--format=%H %an <%ae>", folder=tmp_path / "copy").stdout
    assert log == f"{change.commit} {org_admin.display_name} <{org_admin.uuid}@users.cloud.example.om>\n"
    assert (tmp_path / "copy/apps/wordpress/application.yaml").is_file()


def test_where_pushing_is_off_it_is_refused_with_a_sentence_that_helps(
    change: Change, org_admin: User, live_server: Any, tmp_path: Path, settings: Any
) -> None:
    settings.GIT_PUSH = False
    url = address(live_server, token_for(org_admin))
    git("clone", "--quiet", url, "copy", folder=tmp_path)

    done = git("push", url, "HEAD:refs/heads/main", folder=tmp_path / "copy")

    assert done.returncode != 0
    assert "read-only: the platform alone writes it" in done.stderr


def test_a_stranger_cannot_tell_it_from_a_missing_one(
    change: Change, stranger: User, live_server: Any, tmp_path: Path
) -> None:
    token = token_for(stranger)
    foreign, missing = ask(token), ask(token, REFS.replace("acme-prod", "acme-dev"))

    assert (foreign.status_code, missing.status_code) == (404, 404)
    assert foreign.content == missing.content
    assert git("clone", address(live_server, token), "copy", folder=tmp_path).returncode != 0
    assert not (tmp_path / "copy").exists()


def test_holds_no_database_connection_while_git_streams(change: Change, org_admin: User) -> None:
    answer = ask(token_for(org_admin))

    assert (answer.status_code, answer.streaming, connection.connection) == (200, True, None)


@pytest.mark.parametrize("header", ["", "Basic", "Basic !", "Basic YQ==", "Basic YTo=", "Basic /w==", "Bearer x"])
def test_asks_for_a_token(change: Change, header: str) -> None:
    answer = Client().get(REFS, headers={"Authorization": header})

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == 'Basic realm="catalyst", charset="UTF-8"'


def test_a_revoked_token_opens_nothing(change: Change, org_admin: User) -> None:
    token, plaintext = issue_token(user=org_admin, actor=org_admin, now=timezone.now())
    assert ask(plaintext).status_code == 200

    revoke_token(token_id=token.pk, actor=org_admin, now=timezone.now())

    assert ask(plaintext).status_code == 401


def test_a_former_member_gets_nothing(change: Change, organization: Organization) -> None:
    membership = MembershipFactory.create(organization=organization, role=Membership.Role.VIEWER)
    token = token_for(membership.user)
    assert ask(token).status_code == 200

    membership.delete()

    assert ask(token).status_code == 404


LIMITS: list[tuple[str, Callable[[User, Organization], str], int]] = [
    ("its scope", lambda user, own: token_for(user, scopes=["git.read"]), 200),
    ("another scope", lambda user, own: token_for(user, scopes=["application.view"]), 403),
    ("its Organization", lambda user, own: token_for(user, organization=own), 200),
    ("its Environment", lambda user, own: token_for(user, organization=own, env_type="prod"), 200),
    ("another Environment", lambda user, own: token_for(user, organization=own, env_type="dev"), 404),
]


@pytest.mark.parametrize(("make", "status"), [limit[1:] for limit in LIMITS], ids=[limit[0] for limit in LIMITS])
def test_a_token_reaches_as_far_as_its_limits(
    change: Change,
    organization: Organization,
    org_admin: User,
    make: Callable[[User, Organization], str],
    status: int,
) -> None:
    assert ask(make(org_admin, organization)).status_code == status


def test_a_token_of_another_organization_does_not_count(change: Change, org_admin: User) -> None:
    other = OrganizationFactory.create(slug="globex")
    MembershipFactory.create(organization=other, user=org_admin)

    assert ask(token_for(org_admin, organization=other)).status_code == 404


@pytest.mark.parametrize(
    ("role", "env_types", "status"),
    [(Membership.Role.BILLING, None, 403), (Membership.Role.VIEWER, ["dev"], 404), (Membership.Role.VIEWER, None, 200)],
)
def test_a_member_reaches_as_far_as_the_role(
    change: Change, organization: Organization, role: str, env_types: list[str] | None, status: int
) -> None:
    member = MembershipFactory.create(organization=organization, role=role, env_types=env_types).user

    assert ask(token_for(member)).status_code == status
