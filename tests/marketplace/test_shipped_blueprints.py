"""Every shipped Blueprint renders in every size, passes Kubernetes' schemas, and stays inside what it promises."""

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from catalyst.core.gitops import kustomize
from catalyst.core.gitops.validate import validate_object
from catalyst.core.gitops.yaml import load
from marketplace.manifests.facts import EnvironmentFacts, Intent, Lock, LockEntry, RenderSettings
from marketplace.manifests.render import render
from marketplace.services.blueprint_folder import BlueprintFolder, read_folder
from marketplace.services.catalogue_seed import read_rows

PLATFORM = Path(settings.ROOT) / "blueprints" / "platform"
NAMES = sorted(path.name for path in PLATFORM.iterdir())
SIZES = ("small", "medium", "large")
_POD_KINDS = {"Deployment", "StatefulSet"}
_EXACT_TAG = re.compile(r"[a-z0-9./-]+:[A-Za-z-]*v?[0-9]+\.[0-9]+(\.[0-9]+)?[A-Za-z0-9.-]*")


@lru_cache(maxsize=1)
def folders() -> dict[str, BlueprintFolder]:
    return {name: read_folder(PLATFORM / name) for name in NAMES}


def entries_for(name: str) -> tuple[LockEntry, ...]:
    """The Application and the services it needs, as a Lock has them."""
    known = folders()
    contract = known[name].contract
    services = {edge.alias: edge.blueprint.removeprefix("bp-") for edge in contract.depends}
    own = _entry("mine", known[name], {alias: f"shared-{service}" for alias, service in services.items()})
    return (own, *[_entry(f"shared-{service}", known[service], {}) for service in services.values()])


def _entry(application: str, folder: BlueprintFolder, bindings: dict[str, str]) -> LockEntry:
    contract = folder.contract
    return LockEntry(
        application=application,
        blueprint=contract.name,
        version=contract.version,
        source="public",
        ref=f"{contract.name}/v{contract.version}",
        digest=folder.digest,
        bindings=bindings,
    )


@lru_cache(maxsize=64)
def rendered(name: str, size: str) -> dict[str, dict[str, Any]]:
    """The objects of one Application of this Blueprint, by kind and name, through the real renderer."""
    environment = EnvironmentFacts(
        name="acme-prod",
        env_type="prod",
        uuid="5b0c1e9e-0000-4000-8000-000000000001",
        organization="acme",
        sovereign="omantel",
        sovereign_domain="cloud.example.om",
        vcluster="acme",
        host_cluster="hz-fsn-rtz-prod",
    )
    entries = entries_for(name)
    config = {"adminEmail": "it@acme.example"} if "adminEmail" in _properties(name) else {}
    intents = {
        entry.application: Intent(
            application=entry.application,
            blueprint=entry.blueprint,
            constraint="^1.0",
            size=size if entry.application == "mine" else "small",
            config=config if entry.application == "mine" else {},
        )
        for entry in entries
    }
    blueprints = {
        (folder.contract.name, folder.contract.version): {path: text.encode() for path, text in folder.files.items()}
        for folder in folders().values()
    }
    lock = Lock(entries=entries, resolver_version="1", index_digest="sha256:0")
    files = render(
        environment=environment,
        lock=lock,
        intents=intents,
        blueprints=blueprints,
        settings=RenderSettings(),
        kustomize=kustomize.build,
    )
    lists = [content for path, content in files.items() if re.fullmatch(r"apps/mine/(objects|secrets)\.yaml", path)]
    return {f"{each['kind']}/{each['metadata']['name']}": each for content in lists for each in load(content)["items"]}


def _properties(name: str) -> dict[str, Any]:
    properties: dict[str, Any] = folders()[name].contract.config_schema["properties"]
    return properties


def pods(objects: dict[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for item in objects.values():
        if item["kind"] in _POD_KINDS:
            yield item["spec"]["template"]["spec"]


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", []), *pod["containers"]]


def test_the_promised_sixteen_are_shipped() -> None:
    assert set(NAMES) == {
        *("wordpress", "nextcloud", "umami", "vaultwarden", "uptime-kuma", "gitea"),
        *("ghost", "bookstack", "invoiceshelf", "listmonk", "cal-com", "formbricks", "nocodb"),
        *("mysql", "postgres", "redis"),
    }


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", NAMES)
def test_renders_valid_objects_in_every_size(name: str, size: str) -> None:
    objects = rendered(name, size)

    assert [problem for item in objects.values() for problem in validate_object(item)] == []
    kinds = {item["kind"] for item in objects.values()}
    assert {"Service", "NetworkPolicy"} <= kinds
    assert kinds & _POD_KINDS
    assert ("Ingress" in kinds) is (folders()[name].contract.kind == "application")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", NAMES)
def test_requests_stay_inside_the_footprint(name: str, size: str) -> None:
    spec = folders()[name].contract.document["spec"]
    promised = spec["footprint"] if size == "small" else spec["manifests"]["overlays"][size]["footprint"]

    for pod in pods(rendered(name, size)):
        requests = [each["resources"]["requests"] for each in pod["containers"]]
        assert sum(int(each["memory"].removesuffix("Mi")) for each in requests) <= promised["memoryMiB"]
        assert sum(int(each["cpu"].removesuffix("m")) for each in requests) <= promised["cpuMilli"]
        for starter in pod.get("initContainers", []):
            assert int(starter["resources"]["requests"]["memory"].removesuffix("Mi")) <= promised["memoryMiB"]


@pytest.mark.parametrize("name", NAMES)
def test_claims_no_more_disk_than_the_footprint(name: str) -> None:
    claims = [item for item in rendered(name, "small").values() if item["kind"] == "PersistentVolumeClaim"]

    claimed = sum(int(each["spec"]["resources"]["requests"]["storage"].removesuffix("Gi")) for each in claims)
    assert claimed <= folders()[name].contract.footprint.disk_gib


@pytest.mark.parametrize("name", NAMES)
def test_pods_are_restricted(name: str) -> None:
    for pod in pods(rendered(name, "small")):
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        assert all("hostPath" not in volume for volume in pod.get("volumes", []))
        for container in containers(pod):
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("name", NAMES)
def test_images_are_exact_releases(name: str) -> None:
    for pod in pods(rendered(name, "small")):
        for container in containers(pod):
            assert _EXACT_TAG.fullmatch(container["image"]), container["image"]


@pytest.mark.parametrize("name", NAMES)
def test_serving_containers_have_probes(name: str) -> None:
    for pod in pods(rendered(name, "small")):
        serving = [each for each in pod["containers"] if each.get("ports")]
        assert serving
        assert all("readinessProbe" in each and "livenessProbe" in each for each in serving)


@pytest.mark.parametrize("name", NAMES)
def test_network_is_closed_but_for_what_is_declared(name: str) -> None:
    policy = rendered(name, "small")["NetworkPolicy/app"]["spec"]

    assert policy["podSelector"] == {}
    assert sorted(policy["policyTypes"]) == ["Egress", "Ingress"]
    assert all(rule.get("from") and rule.get("ports") for rule in policy["ingress"])
    assert all(rule.get("to") and rule.get("ports") for rule in policy["egress"])


def test_service_lets_in_its_own_environment_only() -> None:
    policy = rendered("mysql", "small")["NetworkPolicy/app"]["spec"]

    peer = policy["ingress"][0]["from"][0]["namespaceSelector"]["matchLabels"]
    assert peer == {"openova.io/environment": "acme-prod"}
    assert policy["egress"] == []


def test_dependent_reaches_its_database_and_its_own_credential_only() -> None:
    objects = rendered("wordpress", "small")

    assert objects["ConfigMap/app-settings"]["data"]["WORDPRESS_DB_HOST"] == "app.prod-shared-mysql.svc.cluster.local"
    egress = objects["NetworkPolicy/app"]["spec"]["egress"][1]["to"][0]["namespaceSelector"]["matchLabels"]
    assert egress == {"kubernetes.io/metadata.name": "prod-shared-mysql"}
    keys = {entry["remoteRef"]["key"] for entry in objects["ExternalSecret/app-database"]["spec"]["data"]}
    assert keys == {"org/acme/env/prod/shared-mysql/mine"}


def test_host_and_address_come_from_the_environment() -> None:
    objects = rendered("nextcloud", "small")

    ingress = objects["Ingress/app"]["spec"]
    assert ingress["rules"][0]["host"] == "mine.acme-prod.cloud.example.om"
    assert ingress["tls"][0]["hosts"] == ["mine.acme-prod.cloud.example.om"]
    assert objects["ConfigMap/app-settings"]["data"]["OVERWRITECLIURL"] == "https://mine.acme-prod.cloud.example.om"


@pytest.mark.parametrize("name", NAMES)
def test_manifests_hold_no_secret_values(name: str) -> None:
    for item in rendered(name, "small").values():
        assert item["kind"] != "Secret"
    for pod in pods(rendered(name, "small")):
        for container in containers(pod):
            named = [
                each for each in container.get("env", []) if re.search("PASSWORD|SECRET|TOKEN|_URL$", each["name"])
            ]
            assert all("value" not in each for each in named)


def test_footprints_and_words_equal_the_catalogue() -> None:
    expected = {
        "wordpress": (256, 250, 5),
        "nextcloud": (512, 500, 20),
        "umami": (256, 250, 5),
        "gitea": (256, 250, 10),
        "uptime-kuma": (128, 100, 1),
        "vaultwarden": (64, 50, 1),
        "ghost": (256, 250, 5),
        "bookstack": (256, 250, 2),
        "invoiceshelf": (256, 250, 2),
        "listmonk": (256, 200, 2),
        "cal-com": (256, 250, 2),
        "formbricks": (256, 250, 2),
        "nocodb": (256, 250, 5),
        "redis": (128, 100, 1),
        "mysql": (256, 200, 5),
        "postgres": (256, 200, 5),
    }
    categories = {row.slug for row in read_rows("categories")}

    for name, folder in folders().items():
        footprint = folder.contract.footprint
        assert (footprint.memory_mib, footprint.cpu_milli, footprint.disk_gib) == expected[name]
        assert folder.contract.card.category in categories
