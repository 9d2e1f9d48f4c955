"""The platform's repository is read by staff over Git, written by nobody, and unknown to everybody else."""

import base64
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from marketplace.services.platform_repository import sync_environment
from tenancy.models import Membership, Organization, Sovereign, User
from tests.factories import EnvironmentFactory, MembershipFactory
from tests.marketplace.catalogue_rows import a_person
from tests.marketplace.test_git_access import address, git, token_for

from .platform_rows import NOW, platform_tree

pytestmark = pytest.mark.django_db(transaction=True)

REFS = "/git/system/catalyst-config.git/info/refs?service=git-upload-pack"


@pytest.fixture
def written(sovereign: Sovereign, organization: Organization, catalyst_home: Any) -> None:
    sync_environment(EnvironmentFactory.create(organization=organization), now=NOW)


def ask(password: str, path: str = REFS) -> Any:
    credential = base64.b64encode(f"anybody:{password}".encode()).decode()
    return Client().get(path, headers={"Authorization": f"Basic {credential}"})


@pytest.mark.parametrize("role", [User.StaffRole.ADMIN, User.StaffRole.SUPPORT])
def test_staff_clone_it(written: None, role: str, live_server: Any, tmp_path: Path) -> None:
    url = address(live_server, token_for(a_person(staff_role=role)), "system/catalyst-config")

    done = git("clone", "--quiet", url, "copy", folder=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    copy = tmp_path / "copy"
    files = {str(file.relative_to(copy)): file.read_bytes() for file in copy.rglob("*") if file.is_file()}
    assert {path: content for path, content in files.items() if not path.startswith(".git/")} == platform_tree()


def test_staff_cannot_push_to_it(written: None, live_server: Any, tmp_path: Path) -> None:
    url = address(live_server, token_for(a_person(staff_role=User.StaffRole.ADMIN)), "system/catalyst-config")
    git("clone", "--quiet", url, "copy", folder=tmp_path)

    done = git("push", url, "HEAD:refs/heads/main", folder=tmp_path / "copy")

    assert done.returncode != 0
    assert "read-only: the platform alone writes it" in done.stderr


@pytest.mark.parametrize("role", [Membership.Role.ADMIN, Membership.Role.SECURITY, Membership.Role.VIEWER])
def test_a_member_cannot_tell_it_from_a_missing_one(written: None, organization: Organization, role: str) -> None:
    token = token_for(MembershipFactory.create(organization=organization, role=role).user)
    system, missing = ask(token), ask(token, REFS.replace("catalyst-config", "nothing-here"))

    assert (system.status_code, missing.status_code) == (404, 404)
    assert system.content == missing.content


def test_a_narrow_token_of_staff_is_told_so(written: None) -> None:
    staff = a_person(staff_role=User.StaffRole.ADMIN)

    assert ask(token_for(staff, scopes=["organization.list"])).status_code == 403
    assert ask(token_for(staff, scopes=["platform.view"])).status_code == 200


def test_before_the_first_commit_there_is_none(sovereign: Sovereign, catalyst_home: Any) -> None:
    assert ask(token_for(a_person(staff_role=User.StaffRole.ADMIN))).status_code == 404
    assert ask("no-token").status_code == 401
