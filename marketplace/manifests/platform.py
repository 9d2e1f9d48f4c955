"""Render the platform's own repository, ``system/catalyst-config``. Equal facts, equal bytes; nothing is read here.

One folder for each Environment and one file in ``clusters/``, so no file belongs to two Organizations.
Source: gitops.md §1, §2, §3 and §8 of the design.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from django.utils.translation import gettext as _

from catalyst.core.gitops import yaml
from catalyst.core.gitops.validate import validate_object
from marketplace.manifests.documents import API_VERSION
from marketplace.manifests.facts import ManifestsRefused
from marketplace.manifests.flux import file_list
from marketplace.manifests.platform_facts import PLATFORM_PATHS, PlatformFacts, PlatformSettings, find_fault
from marketplace.manifests.platform_host import cluster_object, host_objects
from marketplace.manifests.platform_vcluster import vcluster_objects

HEADER: Final = "Rendered by Catalyst from its database. Changes made here are refused."
_README: Final = (
    "# catalyst-config\n\n"
    "What the platform owns of every Environment. Catalyst writes it; Flux of each host cluster applies it.\n\n"
    "- `clusters/<host cluster>/<environment>.yaml`: where Flux of that cluster begins.\n"
    "- `environments/<environment>/host/`: namespace, quota, network, virtual cluster.\n"
    "- `environments/<environment>/vcluster/`: how Flux inside reads, applies and reports the Environment.\n"
    "- `environments/<environment>/policy.yaml`: the rules that a Change must pass; read by Catalyst, not applied.\n\n"
    "No secret is stored here.\n"
)


def render_platform(environments: Iterable[PlatformFacts], settings: PlatformSettings) -> dict[str, bytes]:
    """Return every file of the repository by path, sorted.

    :raises ManifestsRefused: facts that contradict each other, or two Environments in one virtual cluster.
    """
    files = {"README.md": readme()}
    places: set[tuple[str, str]] = set()
    for facts in environments:
        place = (facts.environment.host_cluster, facts.environment.vcluster)
        if place in places or facts.cluster_file in files:
            raise ManifestsRefused(
                _("Two Environments cannot have one virtual cluster: %(name)s.") % {"name": facts.environment.name}
            )
        places.add(place)
        files |= render_platform_environment(facts, settings)
    return dict(sorted(files.items()))


def readme() -> bytes:
    """Return README.md."""
    return _README.encode()


def render_platform_environment(facts: PlatformFacts, settings: PlatformSettings) -> dict[str, bytes]:
    """Return the files of one Environment by path, sorted.

    :raises ManifestsRefused: facts that contradict each other, or an object that breaks its published schema.
    :raises YamlRefused: a policy that no file may hold.
    """
    files = {path: _file(item) for path, item in platform_documents(facts, settings).items()}
    for path in files:
        if not PLATFORM_PATHS.fullmatch(path):
            raise ManifestsRefused(_("%(path)s is not a path of this repository.") % {"path": path[:200]})
    return dict(sorted(files.items()))


def platform_documents(facts: PlatformFacts, settings: PlatformSettings) -> dict[str, dict[str, Any]]:
    """Return what the files of one Environment say, as plain data by path.

    :raises ManifestsRefused: see ``render_platform_environment``.
    """
    if fault := find_fault(facts):
        raise ManifestsRefused(fault)
    folders = {"host": host_objects(facts), "vcluster": vcluster_objects(facts, settings)}
    documents = {facts.cluster_file: cluster_object(facts)}
    for folder, objects in folders.items():
        documents |= {f"{facts.folder}/{folder}/{name}": item for name, item in objects.items()}
    _check(documents)
    for folder, objects in folders.items():
        documents[f"{facts.folder}/{folder}/kustomization.yaml"] = file_list(objects)
    if facts.rules is not None:
        documents[f"{facts.folder}/policy.yaml"] = _policy(facts)
    return documents


def _policy(facts: PlatformFacts) -> dict[str, Any]:
    name = facts.environment.name
    return {
        "apiVersion": API_VERSION,
        "kind": "EnvironmentPolicy",
        "metadata": {"name": f"{name}-policy"},
        "spec": {"appliesTo": {"environments": [name]}, "rules": [dict(rule) for rule in facts.rules or ()]},
    }


def _check(documents: Mapping[str, dict[str, Any]]) -> None:
    for path, item in documents.items():
        if problems := validate_object(item):
            raise ManifestsRefused(f"{path}{problems[0].pointer}: {problems[0].message}")


def _file(data: Any) -> bytes:
    return yaml.dump_checked(data, header=HEADER)
