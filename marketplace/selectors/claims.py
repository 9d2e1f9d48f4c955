"""Which volumes the manifests of an Application ask for: what a purge deletes, read from the last tree that held it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalyst.core.errors import DomainError
from catalyst.core.gitops import yaml
from catalyst.core.gitops.repository import open_repository
from marketplace.models import Application


@dataclass(frozen=True, slots=True)
class Claim:
    """One volume; ``size`` as Kubernetes writes it, empty where nobody says."""

    name: str
    size: str


def rendered_claims(application: Application, repository: Path) -> list[Claim]:
    """Return the volumes by name; none when the Application was never committed, or a chart makes them itself."""
    commit = _last_commit(application)
    if not commit or not repository.exists():
        return []
    folder = re.compile(rf"apps/{re.escape(application.slug)}/objects\.yaml")
    files = open_repository(repository).read_tree(commit, matching=folder)
    found = {claim.name: claim for content in files.values() for claim in _claims(content)}
    return [found[name] for name in sorted(found)]


def _last_commit(application: Application) -> str:
    if application.removed_by is not None and application.removed_by.commit:
        return application.removed_by.base_commit
    return application.environment.head_commit if application.change.commit else ""


def _claims(content: bytes) -> Iterator[Claim]:
    try:
        documents = yaml.load_documents(content)
    except DomainError:
        return
    items = [item for document in documents for item in document.get("items") or [document]]
    for document in items:
        if document.get("kind") == "PersistentVolumeClaim":
            yield _claim(document)
        for template in (document.get("spec") or {}).get("volumeClaimTemplates") or []:
            yield _claim(template, owner=document["metadata"]["name"])


def _claim(document: dict[str, Any], *, owner: str = "") -> Claim:
    name = document["metadata"]["name"]
    requests = ((document.get("spec") or {}).get("resources") or {}).get("requests") or {}
    # A StatefulSet's volumes are called <template>-<set>-<number>; all ours have one replica.
    return Claim(f"{name}-{owner}-0" if owner else name, str(requests.get("storage", "")))
