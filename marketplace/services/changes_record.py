"""Write down that a commit of ours stands on ``main``: one transaction, and the events that everybody follows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from catalyst.core import outbox
from catalyst.core.database import use_case
from catalyst.core.failpoints import fp
from catalyst.core.gitops.repository import BareRepository, changes_between
from marketplace.manifests.facts import EnvironmentFacts
from marketplace.models import Application, Blueprint, Change
from marketplace.selectors.installed import EDITS, REMOVALS, applications_of, standing_applications
from marketplace.services import changes
from marketplace.services.changes_desired import desired_applications, environment_facts, state_after
from marketplace.services.changes_lease import lock_leased
from marketplace.services.edits_effect import take_edits_effect
from tenancy.models import Environment
from tenancy.services.audit import organization_stream

_INTENT = "application.yaml"


@dataclass(frozen=True, slots=True)
class Written:
    """What a commit changed: paths by kind of change, and the Applications that it brought, altered or took away."""

    sha: str
    base: str
    seq: int
    files: Mapping[str, list[str]]
    introduced: frozenset[str]
    altered: frozenset[str]
    withdrawn: frozenset[str]


def describe_commit(repository: BareRepository, *, sha: str, base: str, seq: int) -> Written:
    """Read from Git what a commit changed; the same answer for one just written and one that is found again."""
    before = repository.read_tree(base) if base else {}
    after = repository.read_tree(sha)
    touched = changes_between(before, after)
    added = [path for path in touched if path not in before]
    removed = [path for path, content in touched.items() if content is None]
    modified = [path for path in touched if path in before and path in after]
    files = {"added": added, "modified": modified, "removed": removed}
    return Written(sha, base, seq, files, _intents(added), _intents(modified), _intents(removed))


def _intents(paths: list[str]) -> frozenset[str]:
    return frozenset(path.split("/")[1] for path in paths if path.endswith(f"/{_INTENT}"))


@use_case
def record_commit(*, change_id: Any, environment_id: int, owner: str, written: Written, now: datetime) -> bool:
    """Record the commit of a Change; False when that was done before.

    :raises LeaseLost: another writer has taken over and records it.
    """
    environment = lock_leased(environment_id=environment_id, owner=owner)
    change = changes.lock_change(change_id)
    if change.commit:
        return False
    # A commit without its event, or the other way round, cannot be.
    changes.move(
        change,
        Change.State.RECONCILING,
        commit=written.sha,
        base_commit=written.base,
        seq=written.seq,
        status_reason="",
        finished_at=None,
    )
    environment.head_commit, environment.head_seq = written.sha, written.seq
    environment.save(update_fields=["head_commit", "head_seq"])
    slugs = _take_effect(change, environment, written)
    _tell(change, written, slugs)
    if changes.is_done(change):
        changes.succeed(change, slugs, now=now)
    fp("install.record.in_tx")
    return True


def _tell(change: Change, written: Written, slugs: list[str]) -> None:
    """Publish the commit, and what it made of each Application."""
    changes.publish(
        change,
        "change.committed",
        seq=written.seq,
        base=written.base,
        at=change.committed_at.isoformat() if change.committed_at else "",
        files=written.files,
        applications=slugs,
        removed=sorted(written.withdrawn) if change.kind in EDITS else [],
    )
    if change.kind == Change.Kind.INSTALL:
        _announce(change, "application.requested", applications_of(change), status="installing")
    elif change.kind in EDITS:
        brought = applications_of(change).filter(change=change)
        _announce(change, "application.requested", brought, status="installing")
        _announce(change, "application.edited", applications_of(change).exclude(change=change), status="updating")


def _take_effect(change: Change, environment: Environment, written: Written) -> list[str]:
    """Let the rows say what ``main`` says now; return the names of the Applications that this commit touched."""
    if change.kind == Change.Kind.INSTALL:
        rows = [row.pk for row in desired_applications(environment, change=change) if row.slug in written.introduced]
        # What this commit brought is its own, also a service that a failed Change had asked for first.
        Application.objects.filter(pk__in=rows).update(change=change)
        return sorted(written.introduced)
    if change.kind in REMOVALS:
        return sorted(written.withdrawn)
    if change.kind in EDITS:
        return take_edits_effect(change, written.introduced)
    # Also what is not committed yet: it must not start while nothing may run.
    for row in standing_applications(environment.pk):
        Application.objects.filter(pk=row.pk).update(state=state_after(row, change.kind))
    return sorted(written.altered)


def _announce(change: Change, topic: str, rows: Iterable[Application], *, status: str) -> None:
    environment = Environment.objects.select_related("organization").get(pk=change.environment_id)
    facts = environment_facts(environment)
    for row in rows:
        outbox.publish(
            topic=topic,
            key=f"{topic}:{row.pk}:{change.pk}",
            stream=organization_stream(change.organization),
            payload={
                "organization_id": change.organization_id,
                "environment": environment.name,
                "environment_id": environment.pk,
                "env_type": environment.env_type,
                "change": str(change.pk),
                "order": change.order_number,
                "commit": change.commit,
                "requested_at": change.committed_at.isoformat() if change.committed_at else "",
                "status": status,
                **_application_facts(row, facts),
            },
        )


def _application_facts(row: Application, facts: EnvironmentFacts) -> dict[str, Any]:
    version = row.blueprint_version
    endpoints = version.contract.get("spec", {}).get("exposes", {}).get("endpoints") or []
    is_public = any(each.get("public") and each.get("protocol") == "http" for each in endpoints)
    hostname = row.config.get("hostname") or facts.default_hostname(row.slug)
    return {
        "application": row.slug,
        "blueprint": version.blueprint.name,
        "title": version.blueprint.title,
        "version": version.version,
        "is_service": version.blueprint.kind == Blueprint.Kind.SERVICE,
        "url": f"https://{hostname}" if is_public else "",
        "depends_on": sorted(set(row.bindings.values())),
    }
