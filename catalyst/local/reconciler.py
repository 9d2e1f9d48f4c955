"""A sandbox for one machine that stands in for Flux: it reads the same repository and says the same words.

It renders and checks what a cluster would apply, waits a moment, and reports. Nothing runs: a page that shows its word
says "sandbox".
"""

import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from catalyst.core.errors import DomainError
from catalyst.core.gitops import kustomize, yaml
from catalyst.core.gitops.validate import validate_objects
from catalyst.local.reconciler_notify import kustomization_event, post_event
from catalyst.local.reconciler_release import Charts, find_release_problem
from catalyst.local.reconciler_source import fetch_main

Files = Mapping[str, bytes]

_PROGRESSING = "Progressing"
_SUCCEEDED = "ReconciliationSucceeded"


@dataclass(frozen=True, slots=True)
class Target:
    """One Environment: where its repository is, and where and with which key its events go."""

    environment: str
    clone_url: str
    webhook_url: str
    token: str = field(repr=False)
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Kustomization:
    """What ``flux/<app>.yaml`` says."""

    name: str
    path: str
    depends_on: tuple[str, ...]


#: The Kustomization over all Applications. It reports last, and only that the whole tree is applied.
ROOT = Kustomization("applications", "flux", ())


class NoCharts(DomainError):
    """Nobody said where charts come from."""


def no_charts(_repository: str, _digest: str) -> Files:
    """Refuse every chart."""
    raise NoCharts("There is no registry.")


class Memory:
    """Which Applications of an Environment were seen, each with the commit of that, over restarts."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, str]:
        if not self._path.exists():
            return {}
        return dict(json.loads(self._path.read_text()))

    def write(self, seen: Mapping[str, str]) -> None:
        """Replace the file in one step: half a file would forget what must be reported as gone."""
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(seen, sort_keys=True))
        new.replace(self._path)


class StateFile:
    """What runs now, for whoever asks instead of waiting to be told: each object's word, replaced in one step.

    Beside it a folder of marks: an Application that is named there is tried again, whatever was known of it.
    """

    def __init__(self, folder: Path, environment: str) -> None:
        self._path = folder / f"{environment}.state.json"
        self._marks = folder / f"{environment}.retry"
        self._objects: dict[str, dict[str, str]] = {}

    def begin(self) -> None:
        if self._path.exists():
            self._objects = json.loads(self._path.read_text())["objects"]

    def say(self, name: str, *, commit: str, severity: str, reason: str, message: str) -> None:
        at = datetime.now(UTC).isoformat()
        said = {"commit": commit, "severity": severity, "reason": reason, "message": message, "at": at}
        self._objects[name] = said
        self._write()

    def forget(self, names: set[str]) -> None:
        """Take away what is deleted."""
        self._objects = {name: said for name, said in self._objects.items() if name not in names}
        self._write()

    def take_marks(self) -> set[str]:
        """Return the Applications to try again, once."""
        marks = list(self._marks.iterdir()) if self._marks.exists() else []
        for mark in marks:
            mark.unlink(missing_ok=True)
        return {mark.name for mark in marks}

    def _write(self) -> None:
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps({"objects": self._objects}, sort_keys=True))
        new.replace(self._path)


class Reconciler:
    """Reconciles Environments into a folder of clones; remembers what it has applied already."""

    def __init__(self, folder: Path, *, seconds: float, stop: threading.Event, charts: Charts = no_charts) -> None:
        self._folder = folder
        self._seconds = seconds
        self._stop = stop
        self._charts = charts
        self._applied: dict[tuple[str, str], str] = {}

    def beat(self) -> None:
        """Say that somebody is here: what the state files say is true as long as this is young."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "alive").touch()

    def is_asked(self, environment: str) -> bool:
        """Tell whether somebody wants an Application of this Environment tried again."""
        marks = self._folder / f"{environment}.retry"
        return marks.exists() and any(marks.iterdir())

    def reconcile(self, target: Target) -> str:
        """Bring one Environment to its newest commit, dependencies first; return that commit.

        :raises SourceUnavailable: it cannot be fetched now. :raises EventNotTaken: a report did not arrive.
        """
        commit, files = fetch_main(
            target.clone_url, token=target.token, folder=self._folder / f"{target.environment}.git"
        )
        state = StateFile(self._folder, target.environment)
        state.begin()
        for name in state.take_marks():
            self._applied.pop((target.environment, name), None)
        memory = Memory(self._folder / f"{target.environment}.json")
        known = memory.read()
        kustomizations = read_kustomizations(files)
        # Remembered before it is begun: what is taken out again later has to be reported as gone.
        names = {each.name for each in kustomizations}
        memory.write({**known, **dict.fromkeys(names, commit)})
        ready: set[str] = set()
        for each in in_order(kustomizations):
            if missing := sorted(set(each.depends_on) - ready):
                message = f"Dependencies do not meet ready condition: {', '.join(missing)}"
                _report(target, state, each, commit, "info", "DependencyNotReady", message)
            elif self._apply(target, state, each, commit, files):
                ready.add(each.name)
            if self._stop.is_set():
                return commit
        gone = {name: seen for name, seen in known.items() if name not in names}
        state.forget(set(gone))
        self._prune(target, gone)
        _report(target, state, ROOT, commit, "info", _SUCCEEDED, "Reconciliation finished")
        memory.write(dict.fromkeys(names, commit))
        return commit

    def _prune(self, target: Target, gone: Mapping[str, str]) -> None:
        """Report what the newest commit does not hold any more, at the commit that was applied last, as Flux does."""
        for name, seen in sorted(gone.items()):
            self._applied.pop((target.environment, name), None)
            deleted = f"Deployment/{name}/app deleted\nNamespace/{name} skipped"
            _notify(target, name, seen, "info", _SUCCEEDED, deleted)

    def _apply(self, target: Target, state: StateFile, each: Kustomization, commit: str, files: Files) -> bool:
        folder = files_below(files, each.path)
        digest = hashlib.sha256(repr(sorted(folder.items())).encode()).hexdigest()
        place = (target.environment, each.name)
        if self._applied.get(place) != digest:
            _report(target, state, each, commit, "info", _PROGRESSING, "Reconciliation in progress")
            if problem := find_problem(folder, self._charts):
                _report(target, state, each, commit, "error", *problem)
                return False
            self._stop.wait(self._seconds)
            self._applied[place] = digest
        _report(target, state, each, commit, "info", _SUCCEEDED, "Sandbox: rendered and checked, nothing was started")
        return True


def read_kustomizations(files: Files) -> list[Kustomization]:
    """Return the Kustomizations that ``flux/kustomization.yaml`` lists."""
    listed = yaml.load(files["flux/kustomization.yaml"])["resources"]
    documents = [yaml.load(files[f"flux/{name}"]) for name in listed]
    return [
        Kustomization(
            name=document["metadata"]["name"],
            path=document["spec"]["path"].removeprefix("./"),
            depends_on=tuple(edge["name"] for edge in document["spec"].get("dependsOn") or ()),
        )
        for document in documents
    ]


def in_order(found: list[Kustomization]) -> list[Kustomization]:
    """Sort dependencies first; those in a cycle come last, where they wait for each other for ever."""
    ordered: list[Kustomization] = []
    waiting = sorted(found, key=lambda each: each.name)
    while waiting:
        names = {each.name for each in waiting}
        free = [each for each in waiting if not names & set(each.depends_on)] or waiting
        ordered += free
        waiting = [each for each in waiting if each not in free]
    return ordered


def files_below(files: Files, folder: str) -> dict[str, bytes]:
    return {path.removeprefix(f"{folder}/"): data for path, data in files.items() if path.startswith(f"{folder}/")}


def find_problem(folder: Files, charts: Charts) -> tuple[str, str] | None:
    """Return reason and message when the folder does not build, or a cluster would refuse one of its objects."""
    try:
        built = kustomize.build({name: data for name, data in folder.items() if name != "application.yaml"})
    except DomainError as error:
        return "BuildFailed", error.message
    problems = validate_objects(built)
    if not problems:
        return find_release_problem(built, charts)
    first = problems[0]
    return "ValidationFailed", f"{first.subject}{first.pointer}: {first.message}"


def _report(
    target: Target, state: StateFile, each: Kustomization, commit: str, severity: str, reason: str, message: str
) -> None:
    """Write the state first: a notification is only a reason to look at it."""
    state.say(each.name, commit=commit, severity=severity, reason=reason, message=message)
    _notify(target, each.name, commit, severity, reason, message)


def _notify(target: Target, name: str, commit: str, severity: str, reason: str, message: str) -> None:
    event = kustomization_event(
        application=name,
        environment=target.environment,
        commit=commit,
        severity=severity,
        reason=reason,
        message=message,
    )
    post_event(target.webhook_url, key=target.key, event=event)
