"""Answers like Gitea's API as far as its published description goes; whatever is not described there is refused.

The shapes are the properties of ``CreateOrgOption``, ``CreateRepoOption``, ``CreateBranchProtectionOption``,
``CreateKeyOption``, ``CreateHookOption`` and ``CreatePullRequestOption``. It is a stand-in: no Gitea runs here.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from jsonschema import Draft202012Validator

TOKEN = "canary-token-4711"
TEXT, FLAG = {"type": "string"}, {"type": "boolean"}
TEXTS = {"type": "array", "items": TEXT}


def _shape(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


_CONFIG = {"type": "object", "additionalProperties": TEXT, "required": ["url", "content_type"]}
_HOOK = {"active": FLAG, "branch_filter": TEXT, "config": _CONFIG, "events": TEXTS}
_PROTECTION = {
    **dict.fromkeys(("branch_name", "rule_name", "protected_file_patterns", "unprotected_file_patterns"), TEXT),
    **dict.fromkeys(("enable_push", "enable_push_whitelist", "push_whitelist_deploy_keys"), FLAG),
    **dict.fromkeys(("enable_merge_whitelist", "enable_status_check", "enable_approvals_whitelist"), FLAG),
    **dict.fromkeys(("block_on_outdated_branch", "block_on_rejected_reviews", "dismiss_stale_approvals"), FLAG),
    **dict.fromkeys(("push_whitelist_usernames", "push_whitelist_teams", "merge_whitelist_usernames"), TEXTS),
    **dict.fromkeys(("merge_whitelist_teams", "status_check_contexts"), TEXTS),
    "required_approvals": {"type": "integer"},
}
SHAPES = {
    "org": _shape(
        {
            **dict.fromkeys(("username", "full_name", "description", "location", "website"), TEXT),
            "visibility": {"enum": ["public", "limited", "private"]},
        },
        "username",
    ),
    "repo": _shape(
        {
            **dict.fromkeys(("name", "description", "default_branch", "license", "readme"), TEXT),
            **dict.fromkeys(("private", "auto_init", "template"), FLAG),
        },
        "name",
    ),
    "branch_protections": _shape(_PROTECTION),
    "keys": _shape({"title": TEXT, "key": TEXT, "read_only": FLAG}, "title", "key"),
    "hooks": _shape({**_HOOK, "type": {"enum": ["gitea", "gogs", "slack"]}}, "type", "config"),
    "hooks/edit": _shape(_HOOK),
    "pulls": _shape(dict.fromkeys(("head", "base", "title", "body"), TEXT)),
}
_PARTS = "branch_protections|keys|hooks|pulls"


class GiteaStandIn:
    """What was made, by address. ``answer`` replaces the next answers by one of a test's own."""

    def __init__(self) -> None:
        self.made: dict[str, dict[str, Any]] = {}
        self.calls: list[tuple[str, str]] = []
        self.answer: tuple[int, bytes] | None = None
        self.url = ""

    def handle(self, method: str, address: str, authorization: str, body: Any) -> tuple[int, Any]:
        place = urlsplit(address)
        path = place.path.removeprefix("/api/v1/")
        self.calls.append((method, path))
        if authorization != f"token {TOKEN}":
            return 401, {"message": "token is required"}
        if method == "GET":
            return self._read(path, parse_qs(place.query))
        if method == "PATCH":
            return self._edit(path, body)
        return self._create(path, body)

    def _read(self, path: str, query: dict[str, list[str]]) -> tuple[int, Any]:
        if re.fullmatch(rf"repos/[^/]+/[^/]+/(?:{_PARTS})", path) and not path.endswith("branch_protections"):
            below = [each for place, each in self.made.items() if place.rpartition("/")[0] == path]
            first = (int(query["page"][0]) - 1) * int(query["limit"][0])
            return 200, below[first : first + int(query["limit"][0])]
        return (200, self.made[path]) if path in self.made else (404, {"message": "not found"})

    def _edit(self, path: str, body: Any) -> tuple[int, Any]:
        part = path.split("/")[3]
        if path not in self.made:
            return 404, {}
        Draft202012Validator(SHAPES[{"hooks": "hooks/edit"}.get(part, part)]).validate(body)
        self.made[path] |= body
        return 200, self.made[path]

    def _create(self, path: str, body: Any) -> tuple[int, Any]:
        if path == "orgs":
            return self._keep("org", f"orgs/{body['username']}", body)
        if found := re.fullmatch(r"orgs/([^/]+)/repos", path):
            if f"orgs/{found.group(1)}" not in self.made:
                return 404, {}
            return self._keep("repo", f"repos/{found.group(1)}/{body['name']}", body)
        found = re.fullmatch(rf"(repos/[^/]+/[^/]+)/({_PARTS})", path)
        if found is None or found.group(1) not in self.made:
            return 404, {}
        number = len(self.made)
        part = found.group(2)
        if part == "branch_protections":
            return self._keep(part, f"{path}/{body['rule_name']}", body)
        told = {**body, "id": number}
        if part == "pulls":
            told |= {"number": number, "head": {"ref": body["head"]}, "base": {"ref": body["base"]}}
        return self._keep(part, f"{path}/{number}", body, told)

    def _keep(self, shape: str, place: str, body: Any, told: dict[str, Any] | None = None) -> tuple[int, Any]:
        Draft202012Validator(SHAPES[shape]).validate(body)
        if place in self.made:
            return 403 if shape == "branch_protections" else 422, {"message": "already exists"}
        self.made[place] = dict(told or body)
        return 201, self.made[place]


@contextmanager
def running_gitea() -> Iterator[GiteaStandIn]:
    """Serve one on a free port of this machine."""
    gitea = GiteaStandIn()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, told = gitea.handle(self.command, self.path, self.headers.get("Authorization", ""), body)
            content = json.dumps(told).encode()
            if gitea.answer is not None:
                status, content = gitea.answer
            self.send_response(status)
            self.send_header("Location", f"{gitea.url}/elsewhere")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_PATCH = do_GET  # noqa: N815  (the names are the base class's)

        def log_message(self, *_words: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    gitea.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield gitea
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
