"""The platform's own objects: which files, what they say, and that nothing of one Organization is in another's."""

from dataclasses import replace
from typing import Any

import pytest

from catalyst.core import names
from catalyst.core.gitops import kustomize, yaml
from catalyst.core.gitops.validate import validate_objects
from marketplace.manifests import platform_parts
from marketplace.manifests.facts import ManifestsRefused
from marketplace.manifests.objects import ALLOWED_KINDS
from marketplace.manifests.platform import (
    HEADER,
    platform_documents,
    render_platform,
    render_platform_environment,
)
from marketplace.manifests.platform_facts import PLATFORM_PATHS
from marketplace.selectors.capacity import OVERHEAD, Footprint

from .platform_rows import SETTINGS, facts_of

INSIDE = "environments/acme-prod/vcluster"
HOST = "environments/acme-prod/host"
#: What kustomize reads, and what Catalyst reads: the cluster has no such kind.
NOT_APPLIED = ("kustomization.yaml", "policy.yaml", "README.md")


def files(*environments: Any) -> dict[str, bytes]:
    return render_platform(environments or (facts_of(),), SETTINGS)


def spec(path: str, rendered: dict[str, bytes] | None = None) -> Any:
    return yaml.load((rendered or files())[path])["spec"]


def test_equal_facts_give_equal_bytes_whatever_their_order() -> None:
    both = (facts_of(), facts_of("acme-co"))

    assert files(*both) == files(*reversed(both))
    assert list(files(*both)) == sorted(files(*both))


def test_what_is_read_back_is_what_was_meant() -> None:
    facts = replace(facts_of(), rules=[{"kind": "pr-required", "approvers": ["org-admin"], "minApprovals": 2}])

    rendered = render_platform_environment(facts, SETTINGS)

    assert {path: yaml.load(content) for path, content in rendered.items()} == platform_documents(facts, SETTINGS)
    assert {content.splitlines()[0] for content in rendered.values()} == {f"# {HEADER}".encode()}


@pytest.mark.parametrize("env_type", names.ENVIRONMENT_TYPES)
def test_every_object_of_every_type_fits_its_published_schema(env_type: str) -> None:
    rendered = files(facts_of(env_type=env_type))
    applied = {path: content for path, content in rendered.items() if not path.endswith(NOT_APPLIED)}

    assert len(applied) == 36
    assert {path: validate_objects(content) for path, content in applied.items()} == {path: [] for path in applied}
    assert all(PLATFORM_PATHS.fullmatch(path) for path in rendered)


@pytest.mark.parametrize("folder", [HOST, INSIDE])
def test_kustomize_builds_each_folder_with_all_its_objects(folder: str) -> None:
    rendered = files()
    own = {path.removeprefix(f"{folder}/"): each for path, each in rendered.items() if path.startswith(f"{folder}/")}

    built = yaml.load_documents(kustomize.build(own))

    assert len(built) == len(own) - 1
    wanted = [yaml.load(content) for path, content in own.items() if path != "kustomization.yaml"]
    assert sorted(map(str, map(_sorted, built))) == sorted(map(str, map(_sorted, wanted)))


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return sorted((key, _sorted(each)) for key, each in value.items())
    return [_sorted(each) for each in value] if isinstance(value, list) else value


def test_flux_objects_have_their_settings() -> None:
    assert spec(f"{INSIDE}/source.yaml") == {
        "url": "https://cloud.example.om/git/acme/acme-prod.git",
        "interval": "10m",
        "ref": {"branch": "main"},
        "secretRef": {"name": "git-credential"},
    }
    assert spec(f"{INSIDE}/applications.yaml") == {
        "sourceRef": {"kind": "GitRepository", "name": "environment"},
        "path": "./flux",
        "interval": "10m",
        "prune": True,
        "wait": False,
        "serviceAccountName": "applications",
    }
    assert spec(f"{INSIDE}/provider.yaml") == {
        "type": "generic-hmac",
        "address": "https://cloud.example.om/webhooks/flux/5c7c2f5e-4d52-4b55-9a0a-9f0d6d1c7a11/",
        "secretRef": {"name": "flux-key"},
    }
    alert = spec(f"{INSIDE}/alert.yaml")
    assert (alert["eventSeverity"], alert["eventMetadata"]) == ("info", {"environment": "acme-prod"})
    assert {each["kind"] for each in alert["eventSources"]} == {
        "GitRepository",
        "OCIRepository",
        "Kustomization",
        "HelmRelease",
    }
    receiver = spec(f"{INSIDE}/receiver.yaml")
    assert [(each["kind"], each["name"]) for each in receiver["resources"]] == [("GitRepository", "environment")]


def test_everything_inside_is_in_one_namespace_and_labeled_for_its_organization() -> None:
    items = [yaml.load(each) for path, each in files().items() if path.startswith(INSIDE) and "kustomiz" not in path]

    assert {item["metadata"].get("namespace") for item in items} == {"env-acme-prod", None}
    assert {item["metadata"]["labels"]["sharding.fluxcd.io/key"] for item in items} == {"acme"}
    assert {item["metadata"]["labels"]["openova.io/environment"] for item in items} == {"acme-prod"}


def test_holds_references_to_secrets_and_no_secret() -> None:
    rendered = files()
    kinds = {yaml.load(each)["kind"] for path, each in rendered.items() if path.endswith(".yaml")}
    keys = {
        data["remoteRef"]["key"]
        for path in rendered
        if path.startswith(INSIDE) and yaml.load(rendered[path])["kind"] == "ExternalSecret"
        for data in spec(path, rendered)["data"]
    }

    assert "Secret" not in kinds
    assert {key for key in keys if "environments" in key} == {
        f"system/environments/acme-prod/{name}" for name in ("git", "flux", "hook")
    }
    # Applications read below org/ from a store of their own, which these paths are not in.
    assert not any(key.startswith("org/") for key in keys)
    stores = [spec(f"{INSIDE}/{name}-store.yaml", rendered) for name in ("secrets", "platform-secrets")]
    assert [store["conditions"] for store in stores] == [
        [{"namespaceSelector": {"matchLabels": {"openova.io/environment": "acme-prod"}}}],
        [{"namespaces": ["env-acme-prod"]}],
    ]


def test_the_applier_may_make_what_a_blueprint_may_make_and_no_rights() -> None:
    role = yaml.load(files()[f"{INSIDE}/applier-cluster-role.yaml"])
    writable = {name for rule in role["rules"] if "create" in rule["verbs"] for name in rule["resources"]}

    assert len(writable) == len(ALLOWED_KINDS) + 1  # and namespaces
    assert {"ingresses", "networkpolicies", "externalsecrets", "persistentvolumeclaims"} < writable
    assert not writable & {"secrets", "roles", "rolebindings", "clusterroles", "clustersecretstores", "pods"}
    local = yaml.load(files()[f"{INSIDE}/applier-role.yaml"])
    assert {name for rule in local["rules"] for name in rule["resources"]} == {
        "helmreleases",
        "kustomizations",
        "ocirepositories",
        "secrets",
    }


def test_the_quota_is_the_plan_and_the_platform_itself_fits_its_overhead() -> None:
    assert spec(f"{HOST}/quota.yaml")["hard"] == {
        "requests.cpu": "4000m",
        "requests.memory": "8192Mi",
        "requests.storage": "100Gi",
        "services.loadbalancers": "0",
        "services.nodeports": "0",
    }
    assert sum(platform_parts.PARTS, start=platform_parts.HELPER).fits(OVERHEAD)


def test_a_small_capacity_still_lets_the_control_plane_in() -> None:
    rendered = files(replace(facts_of(), capacity=OVERHEAD))

    container, volume = spec(f"{HOST}/limits.yaml", rendered)["limits"]
    assert container["max"] == {"cpu": "1000m", "memory": "1024Mi"}
    assert container["defaultRequest"] == {"cpu": "10m", "memory": "30Mi"}
    assert volume["max"] == {"storage": "3Gi"}
    claim = spec(f"{HOST}/vcluster.yaml", rendered)["values"]["controlPlane"]["statefulSet"]
    assert (claim["resources"]["limits"], claim["persistence"]["volumeClaim"]["size"]) == ({"memory": "1024Mi"}, "3Gi")


def test_nothing_passes_but_what_is_named() -> None:
    rendered = files()

    assert spec(f"{HOST}/default-deny.yaml", rendered) == {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [],
        "egress": [],
    }
    # A pod of an Application asks for names and nothing else; its Blueprint opens the rest.
    assert [sorted(rule) for rule in spec(f"{HOST}/pods.yaml", rendered)["egress"]] == [["ports", "to"]]


def test_flux_inside_has_no_cross_namespace_reference_no_remote_base_and_an_account_without_rights() -> None:
    patches = spec(f"{HOST}/flux.yaml")["patches"]
    flags = {
        change["value"]: patch["target"]["name"]
        for patch in patches
        for change in (yaml.load(patch["patch"]) if patch["patch"].startswith("-") else ())
        if change["op"] == "add"
    }

    assert flags == {
        "--no-cross-namespace-refs=true": "(kustomize|helm|notification)-controller",
        "--no-remote-bases=true": "kustomize-controller",
        "--default-service-account=default": "(kustomize|helm)-controller",
    }
    assert spec(f"{HOST}/environment.yaml")["kubeConfig"] == {"secretRef": {"name": "vc-acme", "key": "config"}}


def test_a_policy_is_a_document_of_its_own_and_none_without_rules() -> None:
    rule = {"kind": "change-window", "cron": "0 14 * * 2,4", "duration": "2h", "timeZone": "Asia/Muscat"}

    document = yaml.load(files(replace(facts_of(), rules=[rule]))["environments/acme-prod/policy.yaml"])

    assert document == {
        "apiVersion": "catalyst.openova.io/v1alpha1",
        "kind": "EnvironmentPolicy",
        "metadata": {"name": "acme-prod-policy"},
        "spec": {"appliesTo": {"environments": ["acme-prod"]}, "rules": [rule]},
    }
    assert "environments/acme-prod/policy.yaml" not in files()


def test_two_organizations_with_like_names_do_not_mix() -> None:
    alone, other = files(facts_of()), files(facts_of("acme-co"))

    together = files(facts_of(), facts_of("acme-co"))

    assert together == alone | other
    assert set(alone) & set(other) == {"README.md"}
    assert not any(b"acme-co" in content for content in alone.values())
    theirs = b"".join(each for path, each in other.items() if path != "README.md")
    assert b"acme-prod" not in theirs.replace(b"acme-co-prod", b"")


HOSTILE = [
    {"organization": "acme\n---\nkind: Secret"},
    {"organization": "../acme"},
    {"organization": "acme-prod"},
    {"name": "acme-prod\n"},
    {"name": "acme-prod/../../etc"},
    {"name": "globex-prod"},
    {"name": "acme-stg"},
    {"vcluster": "kube-system"},
    {"vcluster": "flux-system"},
    {"host_cluster": "hz-fsn-rtz-prod/../x"},
    {"host_cluster": "--upload-pack=x"},
    {"env_type": "prod\u2028"},
]


@pytest.mark.parametrize("changes", HOSTILE)
def test_names_that_leave_their_place_are_refused(changes: dict[str, str]) -> None:
    with pytest.raises(ManifestsRefused):
        files(facts_of(**changes))


@pytest.mark.parametrize("organization", ["default", "flux-system", "external-secrets"])
def test_an_organization_never_takes_a_namespace_of_the_platform(organization: str) -> None:
    with pytest.raises(ManifestsRefused, match="belongs to the platform"):
        files(facts_of(organization))


@pytest.mark.parametrize("text", ["---", "{{ x }}", "a\nb", "\u2028", "1e3", "yes", "# x", "&a", '"', "*b"])
def test_hostile_values_of_a_policy_stay_values(text: str) -> None:
    facts = replace(facts_of(), rules=[{"kind": text, "approvers": [text]}])

    content = files(facts)["environments/acme-prod/policy.yaml"]

    assert yaml.load(content)["spec"]["rules"] == [{"kind": text, "approvers": [text]}]


@pytest.mark.parametrize("capacity", [Footprint(0, 4000, 100), Footprint(8192, -1, 100), Footprint(8192, 4000, 0)])
def test_a_plan_that_cannot_be_read_refuses_and_never_means_no_limit(capacity: Footprint) -> None:
    with pytest.raises(ManifestsRefused, match="capacity"):
        files(replace(facts_of(), capacity=capacity))


def test_two_environments_never_share_a_virtual_cluster() -> None:
    second = facts_of(env_type="stg", host_cluster="hz-fsn-rtz-prod")

    with pytest.raises(ManifestsRefused, match="one virtual cluster"):
        files(facts_of(), second)
