"""The cluster's API is asked for exactly what a purge needs, and nothing is called gone that it still has."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from catalyst.core.errors import Unavailable
from marketplace.selectors.claims import Claim
from marketplace.services.cluster import ClusterNotConfigured, KubernetesCluster, cluster_of
from tenancy.models import Sovereign

NAMESPACE = "/api/v1/namespaces/prod-wiki"
VOLUMES = "/api/v1/persistentvolumes"


class ApiServer(BaseHTTPRequestHandler):
    """Answers as the API reference says: 404 for what is not there, 200 with the object, 409 while it is going."""

    answers: ClassVar[dict[tuple[str, str], tuple[int, Any]]] = {}
    asked: ClassVar[list[tuple[str, str, str]]] = []

    def do_GET(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def _answer(self) -> None:
        self.asked.append((self.command, self.path, self.headers.get("Authorization", "")))
        status, body = self.answers.get((self.command, self.path), (404, {"kind": "Status", "code": 404}))
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_words: Any) -> None:
        """Say nothing on the terminal."""


@pytest.fixture
def server() -> Iterator[str]:
    ApiServer.answers.clear()
    ApiServer.asked.clear()
    running = ThreadingHTTPServer(("127.0.0.1", 0), ApiServer)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_address[1]}"
    running.shutdown()
    running.server_close()


@pytest.fixture
def cluster(server: str, settings: Any, tmp_path: Path) -> KubernetesCluster:
    (tmp_path / "token").write_text("first\n")
    settings.KUBERNETES_TOKEN_FILE = str(tmp_path / "token")
    return KubernetesCluster(server)


@pytest.fixture
def wiki() -> Any:
    return SimpleNamespace(slug="wiki", environment=SimpleNamespace(name="acme-prod", env_type="prod"))


def test_it_lists_the_volumes(cluster: KubernetesCluster, wiki: Any) -> None:
    claim = {"metadata": {"name": "data"}, "spec": {"resources": {"requests": {"storage": "5Gi"}}}}
    ApiServer.answers["GET", f"{NAMESPACE}/persistentvolumeclaims"] = (200, {"items": [claim]})

    assert cluster.claims(wiki) == [Claim("data", "5Gi")]
    assert ApiServer.asked == [("GET", f"{NAMESPACE}/persistentvolumeclaims", "Bearer first")]


def test_it_is_gone_when_neither_namespace_nor_volume_is_left(cluster: KubernetesCluster, wiki: Any) -> None:
    ApiServer.answers["GET", NAMESPACE] = (200, {"status": {"phase": "Terminating"}})
    assert not cluster.is_data_gone(wiki)

    del ApiServer.answers["GET", NAMESPACE]
    retained = {"metadata": {"name": "pv-1"}, "spec": {"claimRef": {"namespace": "prod-wiki"}}}
    ApiServer.answers["GET", VOLUMES] = (200, {"items": [retained]})
    assert not cluster.is_data_gone(wiki)

    other = {"metadata": {"name": "pv-2"}, "spec": {"claimRef": {"namespace": "prod-wiki-2"}}}
    ApiServer.answers["GET", VOLUMES] = (200, {"items": [other, {"metadata": {"name": "pv-3"}, "spec": {}}]})
    assert cluster.is_data_gone(wiki)


@pytest.mark.parametrize("status", [200, 202, 404, 409])
def test_asking_again_to_delete_is_fine(cluster: KubernetesCluster, wiki: Any, status: int) -> None:
    ApiServer.answers["DELETE", NAMESPACE] = (status, {})

    cluster.delete_data(wiki)

    assert ApiServer.asked == [("DELETE", NAMESPACE, "Bearer first")]


@pytest.mark.parametrize("status", [401, 403, 500, 503])
def test_any_other_answer_says_nothing_about_the_data(cluster: KubernetesCluster, wiki: Any, status: int) -> None:
    ApiServer.answers["GET", NAMESPACE] = (status, {})

    with pytest.raises(Unavailable, match=str(status)):
        cluster.is_data_gone(wiki)


def test_a_renewed_token_is_used(cluster: KubernetesCluster, wiki: Any, settings: Any) -> None:
    cluster.is_environment_gone(wiki.environment)
    Path(settings.KUBERNETES_TOKEN_FILE).write_text("second")
    cluster.is_environment_gone(wiki.environment)

    assert [said for _method, _path, said in ApiServer.asked] == ["Bearer first", "Bearer second"]
    assert ApiServer.asked[0][1] == "/api/v1/namespaces/env-acme-prod"


def test_no_answer_is_no_word_on_the_data(wiki: Any) -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        KubernetesCluster("http://127.0.0.1:1").is_data_gone(wiki)


@pytest.mark.django_db
def test_which_cluster_answers(sovereign: Sovereign, wiki: Any, settings: Any, server: str) -> None:
    with pytest.raises(ClusterNotConfigured):
        cluster_of(wiki.environment)

    settings.KUBERNETES_API_URL = server + "/{environment}"
    cluster_of(wiki.environment).is_environment_gone(wiki.environment)

    assert ApiServer.asked[0][1] == "/acme-prod/api/v1/namespaces/env-acme-prod"
