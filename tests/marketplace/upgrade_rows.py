"""Small Blueprints that render, in versions of a test's own, and the desk where they are bought and upgraded."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from marketplace.models import Application, Blueprint, BlueprintVersion, Category, Change, Price
from marketplace.selectors.version_ranges import parse_version
from marketplace.services.changes_commit import commit_changes
from marketplace.services.edits_configuration import plan_configuration
from marketplace.services.upgrades import plan_upgrade
from tenancy.models import Organization
from tests.marketplace.deliver_rows import LATER, Desk, publish_events
from tests.marketplace.render_blueprints import sql

START = datetime.fromisoformat("2026-11-01T00:00:00+00:00")
_CONFIG_MAP = """apiVersion: v1
kind: ConfigMap
metadata: {name: app}
data: {values: "x"}
"""


def settings_of(*names: str, **nodes: Any) -> dict[str, Any]:
    """Return a configSchema: plain texts by name, and whole nodes."""
    return {"type": "object", "properties": {**{name: {"type": "string", "title": name} for name in names}, **nodes}}


def needs(name: str, version: str, alias: str, **more: Any) -> dict[str, Any]:
    return {"blueprint": f"bp-{name}", "version": version, "alias": alias, **more}


def publish(
    name: str,
    version: str,
    *,
    depends: Iterable[Mapping[str, Any]] = (),
    organization: Organization | None = None,
    kind: str = "application",
    footprint: tuple[int, int, int] = (100, 100, 1),
    spec: Mapping[str, Any] | None = None,
    shown: str = "application",
    **fields: Any,
) -> BlueprintVersion:
    """Publish one version, which shows the value of its key ``shown`` in a ConfigMap."""
    blueprint = Blueprint.objects.filter(name=f"bp-{name}", organization=organization).first()
    if blueprint is None:
        blueprint = _blueprint(name, kind, organization)
    needed = dict(zip(("memoryMiB", "cpuMilli", "diskGiB"), footprint, strict=True))
    whole = {
        "manifests": {"source": {"kind": "Kustomize", "path": "manifests"}},
        "footprint": needed,
        "depends": list(depends),
        **(spec or {}),
    }
    document = {"metadata": {"name": f"bp-{name}", "version": version}, "spec": whole}
    parsed = parse_version(version)
    return BlueprintVersion.objects.create(
        blueprint=blueprint,
        version=version,
        major=parsed.major,
        minor=parsed.minor,
        patch=parsed.patch,
        prerelease=".".join(parsed.prerelease),
        digest=f"sha256:{hashlib.sha256(f'{name} {version}'.encode()).hexdigest()}",
        contract=document,
        files=_files(document, shown),
        **fields,
    )


def _files(document: Mapping[str, Any], shown: str) -> dict[str, str]:
    files = {path: content.decode() for path, content in sql().items()}
    base = files["manifests/base/kustomization.yaml"]
    path = f"data.[{shown}]" if "." in shown else f"data.{shown}"
    replacement = {
        "source": {"kind": "ConfigMap", "name": "catalyst-values", "fieldPath": path},
        "targets": [{"select": {"kind": "ConfigMap", "name": "app"}, "fieldPaths": ["data.values"]}],
    }
    overlay = files["manifests/overlays/small/kustomization.yaml"]
    return files | {
        "manifests/overlays/medium/kustomization.yaml": overlay,
        "manifests/overlays/large/kustomization.yaml": overlay,
        "blueprint.yaml": json.dumps(document),
        "manifests/base/app.yaml": f"{files['manifests/base/app.yaml']}---\n{_CONFIG_MAP}",
        "manifests/base/kustomization.yaml": f"{base}replacements: [{{path: replacements.yaml}}]\n",
        "manifests/base/replacements.yaml": json.dumps([replacement]),
    }


def _blueprint(name: str, kind: str, organization: Organization | None) -> Blueprint:
    category = Category.objects.first() or Category.objects.create(slug="cms", title_en="Content")
    owned = {"source": "org", "visibility": "private", "organization": organization} if organization else {}
    row = Blueprint.objects.create(
        slug=name,
        name=f"bp-{name}",
        title=name.title(),
        kind=kind,
        category=category,
        state="now",
        **{"memory_mib": 100, "cpu_milli": 100, "disk_gib": 1, **owned},
    )
    Price.objects.get_or_create(
        kind="blueprint", reference=row.name, currency_id="OMR", defaults={"amount_minor": 0, "valid_from": START}
    )
    return row


def upgrade(desk: Desk, applications: Mapping[str, str] | None = None, mode: str = "minimal", **more: Any) -> Change:
    """Upgrade as the buyer does, and follow the event."""
    asked = {"applications": applications or {}, "mode": mode, "now": LATER, **more}
    return _followed(plan_upgrade(environment=desk.environment(), actor=desk.buyer, **asked))


def configure(desk: Desk, application: str, config: Mapping[str, Any], **more: Any) -> Change:
    """Configure as the buyer does, and follow the event."""
    asked = {"application": application, "config": config, "now": LATER, **more}
    return _followed(plan_configuration(environment=desk.environment(), actor=desk.buyer, **asked))


def _followed(change: Change) -> Change:
    commit_changes(environment_id=change.environment_id, owner="worker-1", now=LATER)
    change.refresh_from_db()
    return change


def installed(desk: Desk) -> dict[str, str]:
    """Return the version of each Application, as the rows say it."""
    rows = Application.objects.filter(environment=desk.environment(), removed_by=None)
    return dict(rows.order_by("slug").values_list("slug", "blueprint_version__version"))


def shown_of(desk: Desk, application: str) -> str:
    """Return the objects of one Application as ``main`` has them."""
    return desk.tree()[f"apps/{application}/objects.yaml"].decode()


def ready(desk: Desk, change: Change) -> None:
    """Let the cluster say that everything is applied."""
    publish_events()
    desk.cluster_says(change.commit, *installed(desk))
