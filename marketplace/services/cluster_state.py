"""What a cluster says of its Applications when it is asked: the truth that notifications only hint at.

Two answer: the Kubernetes API where it is configured, and the state file of the sandbox reconciler. Source:
docs/delivery.md; the Flux API references ``kustomize.toolkit.fluxcd.io/v1`` and ``helm.toolkit.fluxcd.io/v2``; the
Kubernetes API reference on workloads.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Protocol

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _

from catalyst.core.errors import Unavailable
from marketplace.services.cluster import KubernetesCluster
from marketplace.services.flux_observe import Word
from tenancy.models import Environment
from tenancy.selectors.sovereign import get_sovereign

#: The sandbox reconciler says that it is alive more often than this.
_ALIVE_SECONDS: Final = 60.0
_KUSTOMIZATIONS: Final = "/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/{}/kustomizations"
_RELEASES: Final = "/apis/helm.toolkit.fluxcd.io/v2/helmreleases"
_WORKLOADS: Final = ("/apis/apps/v1/deployments", "/apis/apps/v1/statefulsets")
_PAGE: Final = 500
_MOST_PAGES: Final = 40
_ASK_AGAIN: Final = "reconcile.fluxcd.io/requestedAt"
_READY_REASON: Final = "ReconciliationSucceeded"


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything that one look saw of one Environment. What ``present`` does not name is not there."""

    at: datetime
    words: tuple[Word, ...]
    present: frozenset[str]


class ClusterState(Protocol):
    """:raises Unavailable: it does not answer now, or not within its time."""

    def read(self, environment: Environment) -> Reading: ...
    def ask_again(self, environment: Environment, application: str, *, now: datetime) -> None: ...


def can_look() -> bool:
    """Tell whether clusters can be asked at all."""
    return bool(settings.KUBERNETES_API_URL) or get_sovereign().is_sandbox


def cluster_state_of(environment: Environment) -> ClusterState | None:
    """Return who can be asked about an Environment, or None: then notifications are all that is known."""
    if settings.KUBERNETES_API_URL:
        return KubernetesState(settings.KUBERNETES_API_URL.replace("{environment}", environment.name))
    if get_sovereign().is_sandbox:
        return SandboxState(settings.CATALYST_HOME / "sandbox-flux")
    return None


@dataclass(frozen=True, slots=True)
class SandboxState:
    """The files that the sandbox reconciler of this machine writes."""

    folder: Path

    def read(self, environment: Environment) -> Reading:
        try:
            is_alive = time.time() - (self.folder / "alive").stat().st_mtime < _ALIVE_SECONDS
            state = json.loads((self.folder / f"{environment.name}.state.json").read_text())
        except (OSError, ValueError):
            raise Unavailable(_("The sandbox reconciler has written nothing yet.")) from None
        if not is_alive:
            raise Unavailable(_("The sandbox reconciler does not run."))
        words = tuple(self._word(environment, name, said) for name, said in sorted(state["objects"].items()))
        return Reading(timezone.now(), words, frozenset(state["objects"]))

    def ask_again(self, environment: Environment, application: str, *, now: datetime) -> None:
        marker = self.folder / f"{environment.name}.retry" / application
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()

    def _word(self, environment: Environment, name: str, said: dict[str, str]) -> Word:
        return Word(
            kind="Kustomization",
            namespace=f"env-{environment.name}",
            name=name,
            revision=f"main@sha1:{said['commit']}",
            severity=said["severity"],
            reason=said["reason"],
            message=said["message"],
            occurred_at=datetime.fromisoformat(said["at"]),
        )


class KubernetesState(KubernetesCluster):
    """The API server of the Environment's cluster."""

    def read(self, environment: Environment) -> Reading:
        namespace = f"env-{environment.name}"
        at = timezone.now()
        objects = list(self._items(_KUSTOMIZATIONS.format(namespace)))
        releases = _failed_releases(self._items(_RELEASES))
        counts = self._counts()
        words = []
        for item in objects:
            name = item["metadata"]["name"]
            parts = counts.get(f"{environment.env_type}-{name}", (None, None))
            if word := _word_of(item, at=at, parts=parts, failure=releases.get(name, "")):
                words.append(word)
        return Reading(at, tuple(words), frozenset(item["metadata"]["name"] for item in objects))

    def ask_again(self, environment: Environment, application: str, *, now: datetime) -> None:
        path = f"{_KUSTOMIZATIONS.format(f'env-{environment.name}')}/{application}"
        patch = {"metadata": {"annotations": {_ASK_AGAIN: now.isoformat()}}}
        self._call("PATCH", path, {HTTPStatus.OK, HTTPStatus.NOT_FOUND}, patch)

    def _counts(self) -> dict[str, tuple[int, int]]:
        """Return ready and wanted parts of all workloads, by namespace."""
        counts: dict[str, tuple[int, int]] = {}
        for path in _WORKLOADS:
            for item in self._items(path):
                namespace = item["metadata"]["namespace"]
                ready, wanted = counts.get(namespace, (0, 0))
                # Without the member the API server fills in one replica.
                asked = (item.get("spec") or {}).get("replicas", 1)
                works = (item.get("status") or {}).get("readyReplicas") or 0
                counts[namespace] = (ready + min(works, asked), wanted + asked)
        return counts

    def _items(self, path: str) -> Iterator[dict[str, Any]]:
        """Yield every item of a list, page by page.

        :raises Unavailable: no answer, or more pages than one look may take.
        """
        after = ""
        for _page in range(_MOST_PAGES):
            query = f"?limit={_PAGE}" + (f"&continue={after}" if after else "")
            found = self._get(path + query) or {}
            yield from found.get("items") or []
            after = (found.get("metadata") or {}).get("continue") or ""
            if not after:
                return
        raise Unavailable(_("The cluster's answer is too long."))


def _word_of(item: dict[str, Any], *, at: datetime, parts: tuple[int | None, int | None], failure: str) -> Word | None:
    """Return what a Kustomization's status says; None while the controller has not looked at its newest form."""
    status, metadata = item.get("status") or {}, item["metadata"]
    condition = next((each for each in status.get("conditions") or [] if each.get("type") == "Ready"), None)
    if condition is None or (status.get("observedGeneration") or 0) < metadata.get("generation", 0):
        return None
    is_ready = condition.get("status") == "True"
    is_error = (condition.get("status") == "False" and condition.get("reason") not in _WAITING) or bool(failure)
    revision = status.get("lastAppliedRevision") if is_ready else status.get("lastAttemptedRevision")
    return Word(
        kind="Kustomization",
        namespace=metadata["namespace"],
        name=metadata["name"],
        revision=str(revision or ""),
        severity="error" if is_error else "info",
        reason="HelmReleaseFailed" if failure else (_READY_REASON if is_ready else str(condition.get("reason") or "")),
        message=failure or (str(condition.get("message") or "") if is_error else ""),
        occurred_at=at,
        ready=parts[0],
        wanted=parts[1],
    )


#: Reasons of a Kustomization that is not ready and not failed either.
_WAITING: Final = frozenset({"Progressing", "ProgressingWithRetry", "DependencyNotReady"})
#: Reasons for which a HelmRelease is not tried again by itself. Source: the Flux documentation on HelmRelease status.
_STALLED: Final = frozenset({"RetriesExceeded", "InstallFailed", "UpgradeFailed", "ArtifactFailed"})


def _failed_releases(releases: Iterator[dict[str, Any]]) -> dict[str, str]:
    """Return why each failed release failed, by the Application whose Kustomization owns it."""
    failed = {}
    for item in releases:
        owner = (item["metadata"].get("labels") or {}).get("kustomize.toolkit.fluxcd.io/name", item["metadata"]["name"])
        for each in (item.get("status") or {}).get("conditions") or []:
            if each.get("type") == "Ready" and each.get("status") == "False" and each.get("reason") in _STALLED:
                failed[owner] = str(each.get("message") or each["reason"])
    return failed
