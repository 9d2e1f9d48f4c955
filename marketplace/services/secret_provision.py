"""Make the secrets that Blueprints read and nobody types: once for each Application, when a commit first asks for them.

What is asked for stands in the commit itself: the ExternalSecrets name an entry and its properties. A property that a
setting asks a person for is theirs; every other one below the Application's own path is made here. What stands in the
store already stays, because a volume of an earlier Application of this name may know it.
Source: docs/secrets.md; docs/blueprint-manifests.md, "Secrets".
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from catalyst.core.database import use_case
from catalyst.core.gitops import yaml
from catalyst.core.secret_store import has_secret_store
from marketplace.models import Application, ApplicationSecret
from marketplace.selectors.installed import standing_applications
from marketplace.selectors.secrets import password_names
from marketplace.services.application_secrets import announce, sealed_value
from marketplace.services.changes_desired import desired_applications, desired_files, environment_facts
from marketplace.services.changes_repository import repository_of
from marketplace.services.secret_credentials import PASSWORD, issued_keys
from marketplace.services.secret_delivery import deliver_entry
from marketplace.services.secret_values import KINDS, make_value
from tenancy.models import Environment

#: Annotation of an ExternalSecret: of what the platform makes a property. ``…/made-as.encryptionKey: hex``
MADE_AS: Final = "catalyst.openova.io/made-as."
_MAX_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Wanted:
    """One secret that a commit asks the platform for; ``days`` when its Blueprint says that it is rotated."""

    application: Application
    issuer: str
    name: str
    made_as: str = ""
    days: int | None = None


def provide_secrets(*, environment_id: int, commit: str, now: datetime) -> int:
    """Make what a commit asks for and is not there yet, and bring it into the store; return how many were made.

    Safe to repeat. Without a secret store nothing is made.
    """
    if not has_secret_store():
        return 0
    environment = Environment.objects.select_related("organization").get(pk=environment_id)
    files = _with_chart_secrets(environment, repository_of(environment).read_tree(commit))
    made = _make_missing(environment=environment, wanted=list(_wanted(environment, files)), now=now)
    for application_id, issuer in dict.fromkeys((row.application_id, row.issuer) for row in made):
        deliver_entry(application_id=application_id, issuer=issuer, now=now)
    return len(made)


@use_case
def _make_missing(*, environment: Environment, wanted: list[Wanted], now: datetime) -> list[ApplicationSecret]:
    known = {
        (row.application_id, row.issuer, row.name): row
        for row in ApplicationSecret.objects.filter(application__environment=environment)
    }
    rows = []
    for each in wanted:
        row = known.get((each.application.pk, each.issuer, each.name))
        if row is None:
            rows.append(_row(each, now))
        elif row.is_generated and (row.made_as, row.rotates_after_days) != (each.made_as, each.days):
            # A newer version of the Blueprint may say otherwise; the value stays.
            ApplicationSecret.objects.filter(pk=row.pk).update(made_as=each.made_as, rotates_after_days=each.days)
    # Two at once: the second one's are thrown away unseen.
    ApplicationSecret.objects.bulk_create(rows, ignore_conflicts=True)
    for place in dict.fromkeys((row.application_id, row.issuer) for row in rows):
        announce([row for row in rows if (row.application_id, row.issuer) == place], "secret.set")
    return rows


def _with_chart_secrets(environment: Environment, files: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """Add what the charts that Flux renders will read: of those the commit has the release alone."""
    charts = [path.removesuffix("release.yaml") for path in files if path.endswith("/release.yaml")]
    if not charts:
        return files
    shown = desired_files(environment, desired_applications(environment, change=None), readme="", shows_charts=True)
    paths = [f"{folder}secrets.yaml" for folder in charts]
    return {**files, **{path: shown[path] for path in paths if path in shown}}


def _row(wanted: Wanted, now: datetime) -> ApplicationSecret:
    row = ApplicationSecret(
        organization_id=wanted.application.organization_id,
        application=wanted.application,
        issuer=wanted.issuer,
        name=wanted.name,
        is_generated=True,
        keeps_first=True,
        made_as=wanted.made_as,
        rotates_after_days=wanted.days,
        set_at=now,
        next_attempt_at=now,
    )
    row.ciphertext = sealed_value(row, make_value(wanted.made_as))
    return row


def _wanted(environment: Environment, files: Mapping[str, bytes]) -> Iterator[Wanted]:
    # Of two with one name the younger stands in the tree.
    rows = {row.slug: row for row in standing_applications(environment.pk)}
    for row in rows.values():
        if f"apps/{row.slug}/application.yaml" not in files:
            continue
        content = files.get(f"apps/{row.slug}/secrets.yaml", b"items: []")
        own = environment_facts(environment).secret_path(row.slug)
        yield from _own(row, own, yaml.load(content, max_bytes=_MAX_BYTES)["items"])
        for issuer in sorted(set(row.bindings.values())):
            if issuer in rows and PASSWORD in issued_keys(rows[issuer].blueprint_version):
                yield Wanted(row, issuer, PASSWORD)


def _own(row: Application, path: str, items: Iterable[Mapping[str, Any]]) -> Iterator[Wanted]:
    typed, rotations, seen = password_names(row.blueprint_version), _rotations(row), set()
    for item in items:
        metadata = item.get("metadata") or {}
        annotations = metadata.get("annotations") or {}
        for data in item["spec"].get("data") or ():
            reference = data.get("remoteRef") or {}
            name = str(reference.get("property") or "")
            if reference.get("key") != path or not name or name in typed or name in seen:
                continue
            seen.add(name)
            made_as = str(annotations.get(f"{MADE_AS}{name}", ""))
            yield Wanted(row, "", name, made_as if made_as in KINDS else "", rotations.get(metadata.get("name")))


def _rotations(row: Application) -> dict[Any, int]:
    """Return after how many days each rendered secret is to be rotated, as the Blueprint says it (``180d``)."""
    said = (row.blueprint_version.contract.get("spec") or {}).get("rotation") or ()
    return {each.get("name"): int(str(each.get("ttl")).removesuffix("d")) for each in said}
