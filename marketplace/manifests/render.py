"""Render the whole tree of an Environment repository. Equal input, equal bytes."""

from collections.abc import Mapping
from typing import Any, Final

from django.utils.translation import gettext as _

from catalyst.core.gitops import yaml
from catalyst.core.gitops.validate import validate_object
from marketplace.manifests import documents
from marketplace.manifests.blueprint import BlueprintSet, find_blueprint
from marketplace.manifests.facts import (
    EnvironmentFacts,
    Intent,
    Kustomize,
    Lock,
    LockEntry,
    ManifestsRefused,
    RenderSettings,
)
from marketplace.manifests.flux import file_list, flux_kustomization
from marketplace.manifests.layers import Layers, application_layers
from marketplace.manifests.objects import application_objects, as_list
from marketplace.manifests.paths import ALLOWED_PATHS, APPLICATION, RESERVED_APPLICATIONS
from marketplace.manifests.release import chart_release, chart_source, with_inventory
from marketplace.manifests.restricted import check_restricted

HEADER: Final = "Rendered by Catalyst. Edit apps/<application>/application.yaml instead; changes made here are refused."
MAX_FILES: Final = 2_000


def render(
    *,
    environment: EnvironmentFacts,
    lock: Lock,
    intents: Mapping[str, Intent],
    blueprints: BlueprintSet,
    settings: RenderSettings,
    kustomize: Kustomize,
) -> dict[str, bytes]:
    """Return every file of the Environment by path, sorted.

    ``intents`` is keyed by Application and holds one for each entry of the lock; ``blueprints`` by (name, version).
    ``kustomize`` is the only thing called that is not computed here: given its answers, this is a pure function.

    :raises ManifestsRefused: facts that contradict each other, or manifests that break a rule.
    :raises YamlRefused: a value that no file may hold, such as a float.

    Source: gitops.md §2 and §3.
    """
    entries = sorted(lock.entries, key=lambda entry: entry.application)
    _check_facts(entries, intents)
    found = {entry.application: find_blueprint(blueprints, entry) for entry in entries}
    ports = {application: blueprint.port for application, blueprint in found.items()}
    versions = {entry.application: entry.version for entry in entries}
    files = _common_files(environment, lock, settings)
    for entry in entries:
        application = entry.application
        files[f"flux/{application}.yaml"] = _flux_file(flux_kustomization(environment, entry, settings))
        intent, blueprint = intents[application], found[application]
        layers = application_layers(
            environment=environment, entry=entry, intent=intent, blueprint=blueprint, ports=ports, versions=versions
        )
        folder = _application_files(environment, entry, intent, layers, settings, kustomize)
        files |= {f"apps/{application}/{name}": content for name, content in folder.items()}
    _check_files(files)
    return dict(sorted(files.items()))


def _common_files(environment: EnvironmentFacts, lock: Lock, settings: RenderSettings) -> dict[str, bytes]:
    return {
        ".catalyst/environment.yaml": _file(documents.environment_document(environment, settings)),
        ".catalyst/lock.yaml": _file(documents.lock_document(environment, lock)),
        "flux/kustomization.yaml": _file(file_list(f"{entry.application}.yaml" for entry in lock.entries)),
        "README.md": documents.readme(environment),
        "CODEOWNERS": documents.code_owners(environment),
    }


def _application_files(
    environment: EnvironmentFacts,
    entry: LockEntry,
    intent: Intent,
    layers: Layers,
    settings: RenderSettings,
    kustomize: Kustomize,
) -> dict[str, bytes]:
    # What Flux will render is rendered and judged here too, though only its release is written.
    made = application_objects(
        kustomize(layers.files), environment=environment, entry=entry, intent=intent, hostname=layers.hostname
    )
    if layers.values and entry.registry:
        every = (*made.objects, *made.secrets)
        check_restricted(every)
        files = {
            "source.yaml": _flux_file(chart_source(environment, entry)),
            "release.yaml": _flux_file(
                with_inventory(chart_release(environment, entry, intent, settings, layers.values), every)
            ),
        }
    else:
        files = {"objects.yaml": _file(as_list(made.objects))}
        if made.secrets:
            files["secrets.yaml"] = _file(as_list(made.secrets))
    files["kustomization.yaml"] = _file(file_list(files))
    files["application.yaml"] = yaml.dump_checked(documents.application_document(intent))
    return files


def _flux_file(item: dict[str, Any]) -> bytes:
    if problems := validate_object(item):
        raise ManifestsRefused(f"{problems[0].subject}{problems[0].pointer}: {problems[0].message}")
    return _file(item)


def _file(data: Any) -> bytes:
    return yaml.dump_checked(data, header=HEADER)


def _check_facts(entries: list[LockEntry], intents: Mapping[str, Intent]) -> None:
    names = [entry.application for entry in entries]
    if len(set(names)) != len(names) or set(names) != set(intents):
        raise ManifestsRefused(_("Every Application has exactly one lock entry and one intent."))
    for entry in entries:
        application, intent = entry.application, intents[entry.application]
        if not APPLICATION.fullmatch(application) or application in RESERVED_APPLICATIONS:
            raise ManifestsRefused(_("%(name)s cannot be the name of an Application.") % {"name": application[:80]})
        if (intent.application, intent.blueprint) != (application, entry.blueprint):
            raise ManifestsRefused(_("Lock and intent of %(name)s disagree.") % {"name": application})
        if intent.state not in {"active", "paused"}:
            raise ManifestsRefused(_("%(state)s is not a state of an Application.") % {"state": intent.state[:40]})
        if missing := sorted(set(entry.bindings.values()) - set(names)):
            raise ManifestsRefused(
                _("%(name)s needs %(other)s, which is not in the lock.") % {"name": application, "other": missing[0]}
            )


def _check_files(files: Mapping[str, bytes]) -> None:
    if len(files) > MAX_FILES:
        raise ManifestsRefused(_("An Environment holds at most %(limit)d files.") % {"limit": MAX_FILES})
    for path, content in files.items():
        if not ALLOWED_PATHS.fullmatch(path):
            raise ManifestsRefused(_("%(path)s is not a path of an Environment.") % {"path": path[:200]})
        if len(content) > yaml.MAX_BYTES:
            raise ManifestsRefused(_("%(path)s is larger than a file may be.") % {"path": path})
