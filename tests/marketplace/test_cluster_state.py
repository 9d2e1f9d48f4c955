"""What is read from the Kubernetes API: a small server that answers in the published shapes of Flux and Kubernetes."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from catalyst.core.errors import Unavailable
from marketplace.services.cluster_state import KubernetesState

COMMIT = "c" * 40
KUSTOMIZATIONS = "/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/env-acme-prod/kustomizations"
RELEASES = "/apis/helm.toolkit.fluxcd.io/v2/helmreleases"
DEPLOYMENTS, STATEFULSETS = "/apis/apps/v1/deployments", "/apis/apps/v1/statefulsets"


class ApiServer(BaseHTTPRequestHandler):
    """Answers lists page by page (two items each), and notes what it is told."""

    lists: ClassVar[dict[str, list[dict[str, Any]]]] = {}
    told: ClassVar[list[tuple[str, str, str, str]]] = []
    status: ClassVar[int] = 200

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        begin = int((parse_qs(address.query).get("continue") or ["0"])[0])
        items = self.lists.get(address.path, [])
        more = str(begin + 2) if begin + 2 < len(items) else ""
        self._answer({"metadata": {"continue": more}, "items": items[begin : begin + 2]})

    def do_PATCH(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        headers = self.headers
        self.told.append((self.path, headers["Content-Type"], headers.get("Authorization", ""), body))
        self._answer({})

    def _answer(self, body: Any) -> None:
        content = json.dumps(body).encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_words: Any) -> None:
        """Say nothing on the terminal."""


@pytest.fixture
def state(settings: Any, tmp_path: Path) -> Iterator[KubernetesState]:
    (tmp_path / "token").write_text("first\n")
    settings.KUBERNETES_TOKEN_FILE = str(tmp_path / "token")
    ApiServer.lists.clear()
    ApiServer.told.clear()
    ApiServer.status = 200
    running = ThreadingHTTPServer(("127.0.0.1", 0), ApiServer)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield KubernetesState(f"http://127.0.0.1:{running.server_address[1]}")
    running.shutdown()
    running.server_close()


@pytest.fixture
def environment() -> Any:
    return SimpleNamespace(name="acme-prod", env_type="prod")


def kustomization(name: str, ready: str = "True", reason: str = "ReconciliationSucceeded", **changes: Any) -> Any:
    status = {
        "observedGeneration": changes.pop("observed", 3),
        "lastAppliedRevision": f"main@sha1:{COMMIT}",
        "lastAttemptedRevision": f"main@sha1:{'d' * 40}",
        "conditions": [{"type": "Ready", "status": ready, "reason": reason, "message": changes.pop("message", "")}],
    }
    return {"metadata": {"name": name, "namespace": "env-acme-prod", "generation": 3}, "status": status}


def workload(namespace: str, ready: int | None, wanted: int | None) -> Any:
    spec = {} if wanted is None else {"replicas": wanted}
    status = {} if ready is None else {"readyReplicas": ready}
    return {"metadata": {"name": "app", "namespace": namespace}, "spec": spec, "status": status}


def test_it_reads_conditions_revisions_and_parts(state: KubernetesState, environment: Any) -> None:
    ApiServer.lists[KUSTOMIZATIONS] = [
        kustomization("applications"),
        kustomization("wiki"),
        kustomization("shop", "False", "HealthCheckFailed", message="timeout"),
        kustomization("mail", "Unknown", "Progressing"),
        kustomization("chat", "False", "DependencyNotReady"),
    ]
    ApiServer.lists[DEPLOYMENTS] = [workload("prod-wiki", 1, 2), workload("prod-wiki", 1, None), workload("x", 1, 1)]
    ApiServer.lists[STATEFULSETS] = [workload("prod-wiki", None, 1)]

    reading = state.read(environment)

    found = {word.name: (word.severity, word.reason, word.message, word.revision[-1]) for word in reading.words}
    assert found == {
        "applications": ("info", "ReconciliationSucceeded", "", "c"),
        "wiki": ("info", "ReconciliationSucceeded", "", "c"),
        "shop": ("error", "HealthCheckFailed", "timeout", "d"),
        "mail": ("info", "Progressing", "", "d"),
        "chat": ("info", "DependencyNotReady", "", "d"),
    }
    assert reading.present == frozenset(found)
    parts = {word.name: (word.ready, word.wanted) for word in reading.words}
    assert (parts["wiki"], parts["shop"]) == ((2, 4), (None, None))


def test_what_the_controller_has_not_seen_yet_says_nothing(state: KubernetesState, environment: Any) -> None:
    new = {"metadata": {"name": "new", "namespace": "env-acme-prod"}}
    ApiServer.lists[KUSTOMIZATIONS] = [kustomization("wiki", observed=2), new]

    reading = state.read(environment)

    assert (reading.words, reading.present) == ((), frozenset({"wiki", "new"}))


def test_a_release_that_gave_up_has_failed(state: KubernetesState, environment: Any) -> None:
    """A Kustomization may be ready while what Helm does of it is not: "Helm succeeded" alone is never ready."""
    ApiServer.lists[KUSTOMIZATIONS] = [kustomization("wiki")]
    condition = {"type": "Ready", "status": "False", "reason": "RetriesExceeded", "message": "install failed"}
    labels = {"kustomize.toolkit.fluxcd.io/name": "wiki"}
    ApiServer.lists[RELEASES] = [{"metadata": {"name": "r", "labels": labels}, "status": {"conditions": [condition]}}]

    (word,) = state.read(environment).words

    assert (word.severity, word.reason, word.message) == ("error", "HelmReleaseFailed", "install failed")


@pytest.mark.parametrize("status", [401, 403, 500, 503])
def test_no_good_answer_is_no_answer(status: int, state: KubernetesState, environment: Any) -> None:
    ApiServer.status = status
    with pytest.raises(Unavailable):
        state.read(environment)


def test_nobody_there_is_no_answer(environment: Any) -> None:
    with pytest.raises(Unavailable):
        KubernetesState("http://127.0.0.1:1").read(environment)


def test_a_list_without_end_is_no_answer(
    state: KubernetesState, environment: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ApiServer.lists[KUSTOMIZATIONS] = [kustomization(f"a{number}") for number in range(100)]
    with pytest.raises(Unavailable):
        state.read(environment)


def test_trying_again_is_an_annotation(state: KubernetesState, environment: Any) -> None:
    state.ask_again(environment, "wiki", now=datetime(2026, 11, 24, 12, 0, tzinfo=UTC))

    ((path, kind, bearer, body),) = ApiServer.told
    assert (path, kind, bearer) == (f"{KUSTOMIZATIONS}/wiki", "application/merge-patch+json", "Bearer first")
    asked = {"reconcile.fluxcd.io/requestedAt": "2026-11-24T12:00:00+00:00"}
    assert json.loads(body) == {"metadata": {"annotations": asked}}
