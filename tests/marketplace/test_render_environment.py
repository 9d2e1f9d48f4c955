"""The rendered tree of an Environment: which files, what they say, and that equal facts give equal bytes."""

import pytest

from catalyst.core.gitops import yaml
from catalyst.core.gitops.validate import validate_objects
from marketplace.manifests.facts import ManifestsRefused
from marketplace.manifests.paths import ALLOWED_PATHS
from marketplace.manifests.render import HEADER

from .render_blueprints import render_acme, sql_entry, wiki_entry

TREE = [
    ".catalyst/environment.yaml",
    ".catalyst/lock.yaml",
    "CODEOWNERS",
    "README.md",
    "apps/handbook/application.yaml",
    "apps/handbook/kustomization.yaml",
    "apps/handbook/objects.yaml",
    "apps/handbook/secrets.yaml",
    "apps/shared-sql/application.yaml",
    "apps/shared-sql/kustomization.yaml",
    "apps/shared-sql/objects.yaml",
    "flux/handbook.yaml",
    "flux/kustomization.yaml",
    "flux/shared-sql.yaml",
]


def objects(files: dict[str, bytes], name: str = "apps/handbook/objects.yaml") -> dict[str, dict]:
    return {f"{item['kind']}/{item['metadata']['name']}": item for item in yaml.load(files[name])["items"]}


def test_writes_the_whole_tree_and_nothing_else() -> None:
    files = render_acme()

    assert list(files) == TREE
    assert all(ALLOWED_PATHS.fullmatch(path) for path in files)


def test_equal_facts_give_equal_bytes_whatever_their_order() -> None:
    first = render_acme(entries=(wiki_entry(), sql_entry()))
    second = render_acme(entries=(sql_entry(), wiki_entry()))

    assert first == second


def test_rendered_files_start_with_one_constant_comment() -> None:
    files = render_acme()
    people = {"README.md", "CODEOWNERS", "apps/handbook/application.yaml", "apps/shared-sql/application.yaml"}

    assert {path for path, content in files.items() if not content.startswith(f"# {HEADER}\n".encode())} == people


def test_removing_an_application_touches_only_its_own_files_the_list_and_the_lock() -> None:
    before = render_acme(entries=(wiki_entry(), wiki_entry("wiki2"), sql_entry()))
    after = render_acme(entries=(wiki_entry(), sql_entry()))

    touched = {path for path in before if before[path] != after.get(path)}
    own = {path for path in touched if path.startswith("apps/wiki2/") or path == "flux/wiki2.yaml"}
    assert touched - own == {".catalyst/lock.yaml", "flux/kustomization.yaml"}
    assert set(after) < set(before)


def test_flux_kustomization_has_the_settings_and_edges() -> None:
    files = render_acme()

    kustomization = yaml.load(files["flux/handbook.yaml"])
    assert kustomization["metadata"]["namespace"] == "env-acme-prod"
    assert kustomization["metadata"]["labels"]["sharding.fluxcd.io/key"] == "acme"
    assert kustomization["spec"] == {
        "sourceRef": {"kind": "GitRepository", "name": "environment"},
        "path": "./apps/handbook",
        "interval": "1h",
        "retryInterval": "2m",
        "timeout": "10m",
        "prune": True,
        "wait": True,
        "force": False,
        "deletionPolicy": "WaitForTermination",
        "serviceAccountName": "applications",
        "dependsOn": [{"name": "shared-sql"}],
    }
    assert "dependsOn" not in yaml.load(files["flux/shared-sql.yaml"])["spec"]
    assert validate_objects(files["flux/handbook.yaml"]) == []


def test_objects_carry_namespace_labels_and_values() -> None:
    made = objects(render_acme(size="large", config={"title": "Our handbook"}))

    deployment = made["Deployment/app"]
    assert deployment["metadata"]["namespace"] == "prod-handbook"
    assert deployment["metadata"]["labels"] == {
        "app.kubernetes.io/name": "wiki",
        "app.kubernetes.io/instance": "handbook",
        "app.kubernetes.io/version": "1.2.0",
        "app.kubernetes.io/component": "app",
        "app.kubernetes.io/part-of": "acme-prod",
        "app.kubernetes.io/managed-by": "catalyst",
        "openova.io/sovereign": "omantel",
        "openova.io/organization": "acme",
        "openova.io/environment": "acme-prod",
        "openova.io/env-type": "prod",
        "openova.io/building-block": "rtz",
        "openova.io/vcluster": "acme",
        "openova.io/host-cluster": "hz-fsn-rtz-prod",
        "openova.io/application": "handbook",
        "openova.io/blueprint": "bp-wiki",
        "openova.io/blueprint-version": "1.2.0",
    }
    assert deployment["spec"]["replicas"] == 3
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    assert container["env"] == [
        {"name": "TITLE", "value": "Our handbook"},
        {"name": "SUBTITLE", "value": "kept"},
        {"name": "DB_HOST", "value": "app.prod-shared-sql.svc.cluster.local"},
    ]
    assert container["ports"] == [{"containerPort": 8080}]
    assert made["Ingress/app"]["spec"]["rules"][0]["host"] == "handbook.acme-prod.cloud.example.om"
    assert made["CronJob/app-cron"]["metadata"]["labels"]["app.kubernetes.io/component"] == "cron"


def test_selectors_and_versions_stay_off_what_cannot_change() -> None:
    made = objects(render_acme())

    spec = made["Deployment/app"]["spec"]
    assert spec["selector"] == {"matchLabels": {"app.kubernetes.io/component": "app"}}
    assert made["Service/app"]["spec"]["selector"] == {"app.kubernetes.io/component": "app"}
    assert "openova.io/application" in spec["template"]["metadata"]["labels"]
    assert "openova.io/blueprint-version" not in spec["template"]["metadata"]["labels"]


def test_namespace_and_volumes_outlive_the_application() -> None:
    made = objects(render_acme())

    keep = {"kustomize.toolkit.fluxcd.io/prune": "disabled"}
    namespace = made["Namespace/prod-handbook"]
    assert namespace["metadata"]["annotations"] == keep
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert made["PersistentVolumeClaim/app-data"]["metadata"]["annotations"] == keep


def test_secrets_are_references_into_the_store_of_the_environment() -> None:
    files = render_acme()

    secret = objects(files, "apps/handbook/secrets.yaml")["ExternalSecret/app"]
    assert secret["spec"]["secretStoreRef"] == {"kind": "ClusterSecretStore", "name": "env-acme-prod"}
    assert secret["spec"]["data"] == [
        {
            "secretKey": "DB_PASSWORD",
            "remoteRef": {"key": "org/acme/env/prod/shared-sql/handbook", "property": "password"},
        }
    ]
    assert yaml.load(files["apps/handbook/kustomization.yaml"])["resources"] == ["objects.yaml", "secrets.yaml"]


def test_a_paused_application_is_scaled_to_zero() -> None:
    made = objects(render_acme(state="paused", size="large"))

    assert made["Deployment/app"]["spec"]["replicas"] == 0
    assert made["CronJob/app-cron"]["spec"]["suspend"] is True


def test_the_intent_is_written_as_the_user_set_it() -> None:
    files = render_acme(config={"title": "Our handbook"}, regions=("hz-fsn",))

    assert yaml.load(files["apps/handbook/application.yaml"]) == {
        "apiVersion": "catalyst.openova.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "handbook"},
        "spec": {
            "blueprint": "bp-wiki",
            "constraint": "^1.2",
            "size": "small",
            "config": {"title": "Our handbook"},
            "bindings": {},
            "state": "active",
            "placement": {"mode": "single-region", "regions": ["hz-fsn"]},
        },
    }


@pytest.mark.parametrize("name", ["kustomization", "a", "Up", "a--b", "a-", "../x", "a\n", "x" * 54])
def test_refuses_names_that_no_application_may_have(name: str) -> None:
    with pytest.raises(ManifestsRefused):
        render_acme(entries=(wiki_entry(name), sql_entry()))


def test_refuses_a_binding_that_the_lock_does_not_hold() -> None:
    with pytest.raises(ManifestsRefused, match="handbook needs shared-sql"):
        render_acme(entries=(wiki_entry(),))
