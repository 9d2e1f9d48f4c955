"""What the files of Blueprints say for themselves, judged one version after the other, without a database.

Source: docs/decisions/0011-signed-catalogue-index.md.
"""

from typing import Any

from marketplace.services.blueprint_contract import Contract
from marketplace.services.blueprint_folder import BlueprintFolder, is_chart
from marketplace.services.blueprint_lint import Shelf, is_refused
from marketplace.services.blueprint_lint.chart import check_chart
from marketplace.services.blueprint_lint.judge import read_findings
from marketplace.services.blueprint_lint.subject import read_subject


class WrittenJudge:
    """Judges what is written; of a Blueprint whose last version was sound only what differs is read again."""

    def __init__(self, source: str) -> None:
        """``source`` is that of the shelf: an Organization's own may hold less."""
        self._shelf = Shelf(source=source)
        self._last: BlueprintFolder | None = None

    def is_sound(self, folder: BlueprintFolder) -> bool:
        """Tell whether the files are without a finding that refuses, whatever stands on the shelf beside them."""
        files = bytes_of(folder)
        changed = {**files, **dict.fromkeys(_same_manifests(folder, self._last), b"")}
        subject = read_subject(folder.contract, changed, self._shelf, {}, has_lines=False)
        findings = read_findings(subject)
        if is_chart(folder.contract):
            findings += check_chart(subject)
        if is_refused(findings):
            return False
        self._last = folder
        return True


def bytes_of(folder: BlueprintFolder) -> dict[str, bytes]:
    return {path: text.encode() for path, text in folder.files.items()}


def _same_manifests(folder: BlueprintFolder, last: BlueprintFolder | None) -> list[str]:
    """List the manifests that need no reading: the last sound version has them, and all that they are judged by."""
    contract = folder.contract
    if last is None or contract.manifests is None or contract.manifests.kind != "Kustomize":
        return []
    if contract.name != last.contract.name or contract.observability.metrics != "none":
        return []  # one of them may be the monitor that metrics need
    if _facts(contract) != _facts(last.contract):
        return []
    prefix = f"{contract.manifests_path}/"
    return [path for path, text in folder.files.items() if path.startswith(prefix) and last.files.get(path) == text]


def _facts(contract: Contract) -> dict[str, Any]:
    return {key: value for key, value in contract.document["spec"].items() if key != "upgrades"}
