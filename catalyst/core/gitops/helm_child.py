"""Renders one chart in a process of its own: ``helm`` starts this file as a plain script and nothing imports it.

The library that renders runs inside the process, and a chart is a program that a stranger wrote: it may loop, or fill
the memory. So the limits are set before a byte of it is read, and nothing of the platform is loaded here.
"""

import json
import resource
import sys
from pathlib import Path

import helm_python

_MOST_SAID = 4096


def main(folder: Path, cpu_seconds: int, data_bytes: int) -> int:
    """Write what the templates of ``chart`` become, by their paths, as JSON; what Helm refuses goes to stderr."""
    limits = {
        resource.RLIMIT_CPU: cpu_seconds,
        resource.RLIMIT_DATA: data_bytes,
        resource.RLIMIT_FSIZE: _MOST_SAID,
        resource.RLIMIT_CORE: 0,
    }
    for kind, limit in limits.items():
        resource.setrlimit(kind, (limit, limit))
    request = json.loads((folder / "release.json").read_text())
    try:
        with helm_python.Chart.load(folder / "chart") as chart:
            made = chart.render(request["values"], name=request["release"], namespace=request["namespace"])
    except helm_python.HelmError as error:
        sys.stderr.write(str(error)[:_MOST_SAID])
        return 3  # the codes below are Python's and Go's own
    sys.stdout.write(json.dumps(made))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
