"""A driver for a Gitea that keeps the repositories of Environments, in the place of bare repositories on our disk.

Each call makes something as it should be, whether it is there or not, so that repeating after a crash is harmless.
Only the platform's user may push ``main``; people push ``change/*`` and open pull requests. No token and no secret
appears in an error or a representation.

Source: Gitea's own API description (Swagger 2.0, ``/swagger.v1.json``): createOrg, orgCreate repositories,
repoCreateBranchProtection, repoCreateKey, repoCreateHook, repoCreatePullRequest and what reads and edits the same.
"""

import json
import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

import requests
from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError, Unavailable

#: Seconds to connect, and between two bytes of an answer.
_TIMEOUT: Final = (3.0, 5.0)
_LARGEST_ANSWER: Final = 1024 * 1024
_PAGE: Final = 50
_MOST_PAGES: Final = 20
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_BRANCH = re.compile(r"change/[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_MAIN: Final = "main"
#: What we want to hear of; the words are Gitea's.
_EVENTS: Final = ("push", "pull_request")


class GiteaUnreachable(Unavailable):
    """Gitea did not answer, or not as its API says. Whether anything was made is unknown; the same call may succeed."""

    code = "gitea_unreachable"


class GiteaRefused(DomainError):
    """Gitea knows us and does not do it: our token may not, or what stands there contradicts it."""

    code = "gitea_refused"
    status = HTTPStatus.BAD_GATEWAY


class Gitea:
    """One Gitea, used as the platform's own user. Each call may raise ``GiteaUnreachable`` or ``GiteaRefused``.

    Names are ours: lower case letters, digits and hyphens; anything else is a bug of the caller (``ValueError``).
    """

    def __init__(self, url: str, token: str, *, ca_file: str = "") -> None:
        self._url, self._token, self._ca_file = url.rstrip("/"), token, ca_file

    def ensure_organization(self, name: str, *, title: str) -> None:
        """Let a private organization of this name be there."""
        if self._find(f"orgs/{_checked(name)}") is None:
            body = {"username": name, "full_name": title, "visibility": "private"}
            self._make("orgs", body)

    def ensure_repository(self, owner: str, name: str) -> None:
        """Let a private, empty repository be there."""
        if self._find(_place(owner, name)) is None:
            body = {"name": name, "private": True, "auto_init": False, "default_branch": _MAIN}
            self._make(f"orgs/{owner}/repos", body)

    def protect_main(self, owner: str, name: str, *, writer: str, check: str) -> None:
        """Let only ``writer`` push ``main``; nothing is merged into it, and ``check`` must pass to be mergeable at all.

        Nobody else pushes, and an empty list of mergers leaves the button to nobody.
        """
        body = {
            "rule_name": _MAIN,
            "enable_push": True,
            "enable_push_whitelist": True,
            "push_whitelist_usernames": [_checked(writer)],
            "push_whitelist_deploy_keys": False,
            "enable_merge_whitelist": True,
            "merge_whitelist_usernames": [],
            "enable_status_check": True,
            "status_check_contexts": [check],
            "block_on_outdated_branch": True,
        }
        rules = f"{_place(owner, name)}/branch_protections"
        # Two of one name are answered like a missing right, so it is looked for first.
        if self._find(f"{rules}/{_MAIN}") is None:
            self._make(rules, body)
        else:
            self._call("PATCH", f"{rules}/{_MAIN}", body)

    def ensure_deploy_key(self, owner: str, name: str, *, title: str, key: str) -> int:
        """Let this public key read the repository, and return the key's id there."""
        place = f"{_place(owner, name)}/keys"
        wanted = key.split()[:2]
        for each in self._list(place):
            if str(each.get("key", "")).split()[:2] == wanted and each.get("read_only") is True:
                return _id(each)
        return _id(self._make(place, {"title": title, "key": key, "read_only": True}))

    def ensure_webhook(self, owner: str, name: str, *, address: str, secret: str) -> int:
        """Let pushes and pull requests be told to ``address``, signed with ``secret``; return the hook's id."""
        place = f"{_place(owner, name)}/hooks"
        config = {"url": address, "content_type": "json", "secret": secret}
        body = {"config": config, "events": list(_EVENTS), "active": True}
        for each in self._list(place):
            known = each.get("config")
            if isinstance(known, dict) and known.get("url") == address:
                self._call("PATCH", f"{place}/{_id(each)}", body)
                return _id(each)
        return _id(self._make(place, {"type": "gitea", **body}))

    def ensure_pull_request(self, owner: str, name: str, *, branch: str, title: str, body: str) -> int:
        """Let an open pull request from a branch for a Change into ``main`` be there, and return its number."""
        if _BRANCH.fullmatch(branch) is None:
            raise ValueError("this is no branch for a Change")
        place = f"{_place(owner, name)}/pulls"
        for each in self._list(place, state="open"):
            ends = each.get("head"), each.get("base")
            if [end.get("ref") for end in ends if isinstance(end, dict)] == [branch, _MAIN]:
                return _id(each, "number")
        return _id(self._make(place, {"head": branch, "base": _MAIN, "title": title, "body": body}), "number")

    def _find(self, path: str) -> Mapping[str, Any] | None:
        found = self._call("GET", path, missing_is_fine=True)
        if found is not None and not isinstance(found, dict):
            raise _unreachable("answer")
        return found

    def _list(self, path: str, **query: str) -> Iterator[Mapping[str, Any]]:
        for page in range(1, _MOST_PAGES + 1):
            asked = "&".join(f"{key}={value}" for key, value in {**query, "limit": _PAGE, "page": page}.items())
            found = self._call("GET", f"{path}?{asked}")
            if not isinstance(found, list):
                raise _unreachable("answer")
            yield from (each for each in found if isinstance(each, dict))
            if not found:
                return

    def _make(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        made = self._call("POST", path, body)
        if not isinstance(made, dict):
            raise _unreachable("answer")
        return made

    def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, missing_is_fine: bool = False
    ) -> Any:
        status, content = self._send(method, path, body)
        if status == HTTPStatus.NOT_FOUND and missing_is_fine:
            return None
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or len(content) > _LARGEST_ANSWER:
            raise _unreachable(str(int(status)))
        if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            text = _("Gitea does not let the platform do this (%(status)d). Our staff have been told.")
            raise GiteaRefused(text % {"status": status})
        try:
            return json.loads(content or b"{}")
        except ValueError:
            raise _unreachable("answer") from None

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None) -> tuple[int, bytes]:
        try:
            with requests.Session() as session:
                # No proxy, no netrc: the environment of a process does not decide where the token goes.
                session.trust_env = False
                answer = session.request(
                    method,
                    f"{self._url}/api/v1/{path}",
                    json=body,
                    headers={"Authorization": f"token {self._token}", "Accept": "application/json"},
                    timeout=_TIMEOUT,
                    verify=self._ca_file or True,
                    # A redirection would carry the token to a place that nobody named.
                    allow_redirects=False,
                    stream=True,
                )
                return answer.status_code, answer.raw.read(_LARGEST_ANSWER + 1, decode_content=True)
        except (requests.RequestException, OSError) as error:
            raise _unreachable(type(error).__name__) from None


def _place(owner: str, name: str) -> str:
    return f"repos/{_checked(owner)}/{_checked(name)}"


def _checked(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise ValueError("a name has lower case letters, digits and hyphens only")
    return name


def _id(made: Mapping[str, Any], field: str = "id") -> int:
    found = made.get(field)
    if not isinstance(found, int):
        raise _unreachable("answer")
    return found


def _unreachable(reason: str) -> GiteaUnreachable:
    return GiteaUnreachable(_("Gitea cannot be reached (%(reason)s). It is tried again.") % {"reason": reason})
