"""Build the manifests of a Blueprint from files in memory, with the program that they are written for."""

from collections.abc import Mapping
from typing import Final

from catalyst.core.gitops import helm, kustomize, yaml

#: Beside ``chart/``: the name, namespace and values of the release to render. Kustomize trees have no such file.
RELEASE: Final = "release.yaml"
CHART: Final = "chart/"


def build(files: Mapping[str, bytes]) -> bytes:
    """Return the stream of objects that kustomize or Helm makes of ``files``.

    :raises KustomizeRefused: they do not build. :raises KustomizeUnavailable: it took too long.
    :raises HelmRefused: the chart does not render. :raises HelmUnavailable: it got no turn.
    """
    if RELEASE not in files:
        return kustomize.build(files)
    release = yaml.load(files[RELEASE])
    chart = {path.removeprefix(CHART): content for path, content in files.items() if path.startswith(CHART)}
    made = helm.template(chart, values=release["values"], release=release["name"], namespace=release["namespace"])
    return "\n---\n".join(made.values()).encode()
