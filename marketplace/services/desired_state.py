"""The desired tree of an Environment, computed from its rows and nothing else."""

import hashlib
import re

from catalyst.core.gitops import kustomize
from marketplace.manifests.facts import EnvironmentFacts, Intent, Lock, LockEntry, RenderSettings
from marketplace.manifests.render import render
from marketplace.models import Application, Change
from marketplace.selectors.installed import applications_at
from tenancy.models import Sovereign

RESOLVER_VERSION = "1"
#: Where the Organization's virtual cluster runs; one host cluster until placement is a choice.
_HOST_CLUSTER = "hz-fsn-rtz-prod"


def desired_tree(*, change: Change, sovereign: Sovereign) -> dict[str, bytes]:
    """Return every file that ``main`` holds once the Change is committed.

    :raises ManifestsRefused: the rows cannot be rendered. :raises KustomizeUnavailable: the renderer did not run.
    """
    applications = applications_at(change.environment, change)
    return render(
        environment=_environment(change, sovereign),
        lock=_lock(applications),
        intents={row.slug: _intent(row) for row in applications},
        blueprints={
            (row.blueprint_version.blueprint.name, row.blueprint_version.version): {
                path: text.encode() for path, text in row.blueprint_version.files.items()
            }
            for row in applications
        },
        settings=RenderSettings(),
        kustomize=kustomize.build,
    )


def _environment(change: Change, sovereign: Sovereign) -> EnvironmentFacts:
    environment, organization = change.environment, change.organization
    return EnvironmentFacts(
        name=environment.name,
        env_type=environment.env_type,
        uuid=str(environment.uuid),
        organization=organization.slug,
        sovereign=re.sub(r"[^a-z0-9]+", "-", sovereign.domain.lower()).strip("-"),
        sovereign_domain=sovereign.domain,
        vcluster=organization.slug,
        host_cluster=_HOST_CLUSTER,
    )


def _lock(applications: list[Application]) -> Lock:
    entries = tuple(
        LockEntry(
            application=row.slug,
            blueprint=row.blueprint_version.blueprint.name,
            version=row.blueprint_version.version,
            source=row.blueprint_version.blueprint.source,
            ref=f"{row.blueprint_version.blueprint.name}:{row.blueprint_version.version}",
            digest=row.blueprint_version.digest,
            requested_by=tuple(row.requested_by),
            bindings=dict(row.bindings),
        )
        for row in applications
    )
    digests = "\n".join(sorted(f"{entry.ref} {entry.digest}" for entry in entries))
    index_digest = f"sha256:{hashlib.sha256(digests.encode()).hexdigest()}"
    return Lock(entries=entries, resolver_version=RESOLVER_VERSION, index_digest=index_digest)


def _intent(row: Application) -> Intent:
    return Intent(
        application=row.slug,
        blueprint=row.blueprint_version.blueprint.name,
        constraint=row.version_range,
        size=row.size,
        config=row.config,
        state=row.state,
    )
