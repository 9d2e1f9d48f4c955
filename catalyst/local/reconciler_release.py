"""What Flux's source-controller and helm-controller do with one HelmRelease: fetch its chart, render, edit, check.

Hooks do not run and nothing is installed. The signature is not proven again: the digest in the commit is that of bytes
whose signature the platform has proven.
"""

from collections.abc import Callable, Mapping
from typing import Any

from catalyst.core.errors import DomainError
from catalyst.core.gitops import helm, kustomize, yaml
from catalyst.core.gitops.validate import validate_objects

#: Returns a chart's files by repository and digest. :raises DomainError: there is none, or the registry is away.
Charts = Callable[[str, str], Mapping[str, bytes]]


def find_release_problem(built: bytes, charts: Charts) -> tuple[str, str] | None:
    """Return reason and message when a HelmRelease among these objects would not become ready."""
    documents = [item for item in yaml.load_documents(built) if isinstance(item, dict)]
    sources = {item["metadata"]["name"]: item for item in documents if item.get("kind") == "OCIRepository"}
    for release in documents:
        if release.get("kind") != "HelmRelease":
            continue
        try:
            problems = validate_objects(release_objects(release, sources[release["spec"]["chartRef"]["name"]], charts))
        except KeyError as error:
            return "HealthCheckFailed", f"HelmRelease/{release['metadata']['name']}: no source {error}"
        except DomainError as error:
            return "HealthCheckFailed", f"HelmRelease/{release['metadata']['name']}: {error.message}"
        if problems:
            return "HealthCheckFailed", f"{problems[0].subject}{problems[0].pointer}: {problems[0].message}"
    return None


def release_objects(release: Mapping[str, Any], source: Mapping[str, Any], charts: Charts) -> bytes:
    """Return the objects that a release becomes, after its post renderers.

    :raises DomainError: the chart cannot be fetched, or does not render.
    """
    spec, origin = release["spec"], source["spec"]
    made = helm.template(
        charts(origin["url"].removeprefix("oci://"), origin["ref"]["digest"]),
        values=spec.get("values") or {},
        release=spec["releaseName"],
        namespace=spec["targetNamespace"],
    )
    output = "\n---\n".join(made.values()).encode()
    for renderer in ({}, *(each["kustomize"] for each in spec.get("postRenderers") or ())):
        top = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "namespace": spec["targetNamespace"],
            "resources": ["objects.yaml"],
            "patches": renderer.get("patches") or [],
        }
        output = kustomize.build({"kustomization.yaml": yaml.dump(top), "objects.yaml": output})
    return output
