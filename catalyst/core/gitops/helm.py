"""Render a Helm chart from files in memory, as Helm 4 does offline. Equal input gives equal texts, so they are kept.

No cluster is asked: ``lookup`` finds nothing, and the Kubernetes version that templates see is the library's own. No
network is asked: dependencies are what lies in the chart's ``charts/``, host names are not resolved, and a schema of
values, which could name a remote one, is refused. Hooks and tests come like any other object and CRDs do not come;
whoever calls refuses them.

Source: Helm 4 documentation, "Charts" and "Template Functions"; security.md of the design, attacks of an author.
"""

import hashlib
import json
import sys
import tempfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError, Unavailable
from catalyst.core.gitops.process import DEADLINE_SECONDS, Program

MAX_OUTPUT_BYTES: Final = 2 * 1024 * 1024
CPU_SECONDS: Final = 5
#: The library itself needs some 70 MiB.
DATA_BYTES: Final = 512 * 1024 * 1024
_MAX_MESSAGE: Final = 600
_CHILD: Final = Path(__file__).with_name("helm_child.py")
_REFUSED: Final = 3
_MOST_KEPT: Final = 32
#: What was rendered last; each entry is whole before it is kept, so threads may share them.
_recent: "OrderedDict[str, Mapping[str, str]]" = OrderedDict()
_SCHEMA: Final = "values.schema.json"
_NOTES: Final = "NOTES.txt"


class HelmRefused(DomainError):
    """Helm could not render the chart, or it wants too much; the message says what."""

    code = "manifests_refused"


class HelmUnavailable(Unavailable):
    """Helm got no turn in time, though it had not used up what a chart may use."""

    code = "manifests_unavailable"


def template(
    chart: Mapping[str, bytes], *, values: Mapping[str, Any], release: str, namespace: str, is_fresh: bool = False
) -> Mapping[str, str]:
    """Return what each template becomes, by its path (``name/templates/app.yaml``), without the notes for people.

    ``chart`` holds the chart's files (relative paths; ``Chart.yaml`` on top), ``values`` what stands above its own.
    ``is_fresh`` renders once more what is known: a chart that draws lots gives itself away.

    :raises HelmRefused: it does not render, takes over 5 s of processor time or 512 MiB, or writes over 2 MiB.
    :raises HelmUnavailable: the machine gave it no time.
    """
    request = json.dumps({"values": values, "release": release, "namespace": namespace}, sort_keys=True)
    key = _digest(chart, request)
    made = None if is_fresh else _recent.get(key)
    if made is None:
        made = _recent[key] = _render(chart, request)
        while len(_recent) > _MOST_KEPT:
            _recent.popitem(last=False)
    return dict(made)


def _digest(chart: Mapping[str, bytes], request: str) -> str:
    """Return what stands for the input in memory, so that nobody's charts fill it."""
    contents = sorted((path, hashlib.sha256(content).hexdigest()) for path, content in chart.items())
    return hashlib.sha256(json.dumps([contents, request]).encode()).hexdigest()


def _render(chart: Mapping[str, bytes], request: str) -> Mapping[str, str]:
    with tempfile.TemporaryDirectory(prefix="catalyst-helm-") as name:
        folder = Path(name)
        for path, content in chart.items():
            target = folder / "chart" / path
            if not target.resolve().is_relative_to((folder / "chart").resolve()):
                raise HelmRefused(_("%(path)s lies outside the Blueprint.") % {"path": path[:200]})
            if target.name == _SCHEMA:
                raise HelmRefused(_("%(path)s is refused: configSchema is the schema.") % {"path": path[:200]})
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        (folder / "release.json").write_text(request)
        output = _run(folder)
    made: dict[str, str] = json.loads(output)
    return {path: text for path, text in sorted(made.items()) if path.rpartition("/")[2] != _NOTES}


def _run(folder: Path) -> bytes:
    environment = {"PATH": "/nonexistent", "HOME": str(folder), "LC_ALL": "C.UTF-8", "GOMAXPROCS": "1"}
    with tempfile.TemporaryFile() as errors:
        program = Program(
            [sys.executable, "-I", str(_CHILD), str(folder), str(CPU_SECONDS), str(DATA_BYTES)],
            folder=folder,
            environment=environment,
            stderr=errors.fileno(),
            deadline=DEADLINE_SECONDS,
        )
        try:
            output = program.output.read(MAX_OUTPUT_BYTES + 1)
            code = program.wait() if len(output) <= MAX_OUTPUT_BYTES else 0
        finally:
            program.finish()
        if program.is_late:
            raise HelmUnavailable(_("The chart could not be rendered in time."))
        if code == _REFUSED:
            errors.seek(0)
            said = errors.read(_MAX_MESSAGE).decode(errors="replace").strip()
            raise HelmRefused(_("The chart does not render: %(reason)s") % {"reason": said})
    if code != 0:
        words = {"seconds": CPU_SECONDS, "memory": DATA_BYTES >> 20}
        raise HelmRefused(_("The chart takes more than %(seconds)d s or %(memory)d MiB to render.") % words)
    if len(output) > MAX_OUTPUT_BYTES:
        raise HelmRefused(_("The chart renders to more than %(limit)d bytes.") % {"limit": MAX_OUTPUT_BYTES})
    return output
