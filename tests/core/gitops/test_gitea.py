"""The driver of Gitea against a stand-in that takes only what Gitea's published API description has."""

from collections.abc import Iterator

import pytest

from catalyst.core.errors import DomainError
from catalyst.core.gitops.gitea import Gitea, GiteaRefused, GiteaUnreachable
from tests.core.gitops.gitea_stand_in import TOKEN, GiteaStandIn, running_gitea

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 catalyst"
SECRET = "canary-secret-4711"
REPOSITORY = "repos/acme/acme-prod"


@pytest.fixture
def server() -> Iterator[GiteaStandIn]:
    with running_gitea() as gitea:
        yield gitea


@pytest.fixture
def gitea(server: GiteaStandIn) -> Gitea:
    return Gitea(server.url, TOKEN)


def provision(gitea: Gitea) -> tuple[int, int, int]:
    gitea.ensure_organization("acme", title="Acme")
    gitea.ensure_repository("acme", "acme-prod")
    gitea.protect_main("acme", "acme-prod", writer="catalyst", check="catalyst/preview")
    key = gitea.ensure_deploy_key("acme", "acme-prod", title="flux", key=KEY)
    hook = gitea.ensure_webhook("acme", "acme-prod", address="https://cloud.example.om/hook", secret=SECRET)
    pull = gitea.ensure_pull_request("acme", "acme-prod", branch="change/a", title="a", body="b")
    return key, hook, pull


def test_makes_everything_once(gitea: Gitea, server: GiteaStandIn) -> None:
    first = provision(gitea)
    made = {place: dict(each) for place, each in server.made.items()}

    assert provision(gitea) == first
    assert server.made == made
    assert [path for method, path in server.calls if method == "POST"] == [
        "orgs",
        "orgs/acme/repos",
        *(f"{REPOSITORY}/{part}" for part in ("branch_protections", "keys", "hooks", "pulls")),
    ]
    assert (made["orgs/acme"]["visibility"], made[REPOSITORY]["private"]) == ("private", True)


def test_only_the_platform_pushes_main_whatever_stood_there(gitea: Gitea, server: GiteaStandIn) -> None:
    provision(gitea)
    rule = server.made[f"{REPOSITORY}/branch_protections/main"]
    rule |= {"enable_push_whitelist": False, "push_whitelist_usernames": ["mallory"]}

    provision(gitea)

    assert (rule["enable_push_whitelist"], rule["push_whitelist_usernames"]) == (True, ["catalyst"])
    assert (rule["enable_merge_whitelist"], rule["merge_whitelist_usernames"]) == (True, [])
    assert (rule["push_whitelist_deploy_keys"], rule["status_check_contexts"]) == (False, ["catalyst/preview"])


def test_a_hook_gets_its_new_secret_and_a_key_only_reads(gitea: Gitea, server: GiteaStandIn) -> None:
    key, hook, _pull = provision(gitea)
    gitea.ensure_webhook("acme", "acme-prod", address="https://cloud.example.om/hook", secret="new")

    assert server.made[f"{REPOSITORY}/hooks/{hook}"]["config"]["secret"] == "new"
    assert server.made[f"{REPOSITORY}/keys/{key}"]["read_only"] is True


def test_finds_what_stands_on_a_later_page(gitea: Gitea, server: GiteaStandIn) -> None:
    provision(gitea)
    pulls = [
        gitea.ensure_pull_request("acme", "acme-prod", branch=f"change/n{n}", title="x", body="") for n in range(60)
    ]

    assert gitea.ensure_pull_request("acme", "acme-prod", branch="change/n59", title="x", body="") == pulls[59]


@pytest.mark.parametrize(
    ("status", "content", "kind"),
    [
        (500, b"{}", GiteaUnreachable),
        (200, b"no json", GiteaUnreachable),
        (200, b"[1]", GiteaUnreachable),
        (200, b'"' + b"x" * 1_100_000 + b'"', GiteaUnreachable),
        (302, b"", GiteaRefused),
        (403, b'{"message": "canary-token-4711"}', GiteaRefused),
    ],
)
def test_what_is_no_good_answer_is_told_without_the_token(
    gitea: Gitea, server: GiteaStandIn, status: int, content: bytes, kind: type[DomainError]
) -> None:
    server.answer = status, content

    with pytest.raises(kind) as refused:
        gitea.ensure_organization("acme", title="Acme")

    assert "canary" not in refused.value.message
    assert [path for _method, path in server.calls] == ["orgs/acme"]  # no redirection was followed


def test_a_wrong_token_and_nobody_there(server: GiteaStandIn) -> None:
    with pytest.raises(GiteaRefused):
        Gitea(server.url, "wrong").ensure_organization("acme", title="Acme")
    with pytest.raises(GiteaUnreachable):
        Gitea("http://127.0.0.1:9", TOKEN).ensure_organization("acme", title="Acme")


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a b", "-a", "A", "a\n", "a?x=1", "a#b", "a" * 64])
def test_a_name_can_be_no_path(gitea: Gitea, server: GiteaStandIn, name: str) -> None:
    with pytest.raises(ValueError, match="a name has"):
        gitea.ensure_repository("acme", name)
    with pytest.raises(ValueError, match="no branch"):
        gitea.ensure_pull_request("acme", "acme-prod", branch=f"change/{name}", title="x", body="")
    assert server.calls == []
