"""What a cluster is asked beyond Git: which data an Application left, to delete it, and whether it is gone.

A commit cannot delete data: namespaces and volumes are never pruned, so that no mistake in Git costs a customer's data.
Two answer: the Kubernetes API where it is configured, and the sandbox of one machine, in which nothing runs.
Source: docs/jobs.md; the Kubernetes API reference on namespaces and persistent volumes.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Protocol

import requests
from django.conf import settings
from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError, Unavailable
from marketplace.models import Application
from marketplace.selectors.claims import Claim, rendered_claims
from marketplace.services.changes_repository import repository_path
from tenancy.models import Environment
from tenancy.selectors.sovereign import get_sovereign

_TIMEOUT_SECONDS: Final = (3.05, 10)
_GONE: Final = frozenset({HTTPStatus.OK, HTTPStatus.ACCEPTED, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT})


class ClusterNotConfigured(DomainError):
    """Nothing may be called gone that nobody has looked at."""

    code = "cluster_not_configured"
    status = HTTPStatus.CONFLICT


class Cluster(Protocol):
    """Every call may be repeated. ``delete_data`` only asks; ``is_data_gone`` is what counts.

    :raises Unavailable: it does not answer now.
    """

    def claims(self, application: Application) -> list[Claim]: ...
    def delete_data(self, application: Application) -> None: ...
    def is_data_gone(self, application: Application) -> bool: ...
    def is_environment_gone(self, environment: Environment) -> bool: ...


def cluster_of(environment: Environment) -> Cluster:
    """Return the cluster in which an Environment runs.

    :raises ClusterNotConfigured: the Sovereign is no sandbox and has no address of its Kubernetes API.
    """
    if settings.KUBERNETES_API_URL:
        return KubernetesCluster(settings.KUBERNETES_API_URL.replace("{environment}", environment.name))
    if get_sovereign().is_sandbox:
        return SandboxCluster(settings.CATALYST_HOME / "sandbox" / "deleted-data")
    raise ClusterNotConfigured(
        _("Nobody can look into the cluster. Set CATALYST_KUBERNETES_API_URL and try this job again.")
    )


def data_namespace(application: Application) -> str:
    """Return the namespace that holds everything of an Application, its volumes included."""
    return f"{application.environment.env_type}-{application.slug}"


@dataclass(frozen=True, slots=True)
class SandboxCluster:
    """Nothing runs, so nothing holds data: what would be there is read from Git, what was deleted from a folder."""

    folder: Path

    def claims(self, application: Application) -> list[Claim]:
        if self.is_data_gone(application):
            return []
        return rendered_claims(application, repository_path(application.environment))

    def delete_data(self, application: Application) -> None:
        marker = self._marker(application)
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()

    def is_data_gone(self, application: Application) -> bool:
        return self._marker(application).exists()

    def is_environment_gone(self, environment: Environment) -> bool:
        return True

    def _marker(self, application: Application) -> Path:
        return self.folder / str(application.environment.uuid) / f"{application.slug}-{application.pk}"


class KubernetesCluster:
    """Plain HTTPS to the API server, with the token and the authority that the platform's own account has."""

    def __init__(self, url: str, session: Callable[[], requests.Session] = requests.Session) -> None:
        self._url = url.rstrip("/")
        self._session = session()
        self._session.trust_env = False
        if settings.KUBERNETES_CA_FILE:
            self._session.verify = settings.KUBERNETES_CA_FILE

    def claims(self, application: Application) -> list[Claim]:
        found = self._get(f"/api/v1/namespaces/{data_namespace(application)}/persistentvolumeclaims")
        return [
            Claim(item["metadata"]["name"], _storage(item))
            for item in (found or {}).get("items") or []
            if "spec" in item
        ]

    def delete_data(self, application: Application) -> None:
        self._call("DELETE", f"/api/v1/namespaces/{data_namespace(application)}", _GONE)

    def is_data_gone(self, application: Application) -> bool:
        namespace = data_namespace(application)
        return self._get(f"/api/v1/namespaces/{namespace}") is None and not self._volumes_of(namespace)

    def is_environment_gone(self, environment: Environment) -> bool:
        return self._get(f"/api/v1/namespaces/env-{environment.name}") is None

    def _volumes_of(self, namespace: str) -> list[str]:
        """Return the volumes that outlived their claims: a storage class may retain them."""
        volumes = (self._get("/api/v1/persistentvolumes") or {}).get("items") or []
        owners = [(each["metadata"]["name"], (each["spec"].get("claimRef") or {}).get("namespace")) for each in volumes]
        return [name for name, owner in owners if owner == namespace]

    def _get(self, path: str) -> dict[str, Any] | None:
        answer = self._call("GET", path, {HTTPStatus.OK, HTTPStatus.NOT_FOUND})
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return None
        found: dict[str, Any] = answer.json()
        return found

    def _call(
        self,
        method: str,
        path: str,
        expected: frozenset[HTTPStatus] | set[HTTPStatus],
        patch: dict[str, Any] | None = None,
    ) -> requests.Response:
        token = settings.KUBERNETES_TOKEN_FILE
        # Read each time: the kubelet renews it.
        headers = {"Authorization": f"Bearer {Path(token).read_text().strip()}"} if token else {}
        if patch is not None:
            headers["Content-Type"] = "application/merge-patch+json"
        body = None if patch is None else json.dumps(patch)
        try:
            answer = self._session.request(
                method, self._url + path, headers=headers, data=body, timeout=_TIMEOUT_SECONDS
            )
        except requests.RequestException:
            raise Unavailable(_("The cluster does not answer.")) from None
        if answer.status_code not in expected:
            raise Unavailable(_("The cluster answered with %(status)s.") % {"status": answer.status_code})
        return answer


def _storage(claim: dict[str, Any]) -> str:
    return str(((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage", ""))
