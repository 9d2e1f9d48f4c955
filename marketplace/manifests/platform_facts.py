"""What rendering the platform's own repository is given, and the settings that all Environments share."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext as _

from catalyst.core import names
from marketplace.manifests.facts import EnvironmentFacts
from marketplace.selectors.capacity import Footprint

HOST_CLUSTER: Final = r"(?:hz|hw|oci|aws|gcp|az|ct)-[a-z]{2,4}-(?:rtz|dmz|mgt)-(?:prod|stg|uat|dev|poc)"
_ENVIRONMENT: Final = r"(?![a-z0-9-]{38})[a-z](?:-?[a-z0-9])+-(?:prod|stg|uat|dev|poc)"
_FILE: Final = r"[a-z]+(?:-[a-z]+)*\.yaml"

#: The complete list of paths of the platform's repository; match with ``fullmatch``.
PLATFORM_PATHS: Final = re.compile(
    r"README\.md"
    rf"|clusters/{HOST_CLUSTER}/{_ENVIRONMENT}\.yaml"
    rf"|environments/{_ENVIRONMENT}/(?:policy\.yaml|(?:host|vcluster)/{_FILE})"
)

#: Namespaces of a host cluster that are the platform's; an Organization's slug is the name of one too.
RESERVED_NAMESPACES: Final = frozenset({"default", "flux-system", "cert-manager", "external-secrets"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformSettings:
    """Addresses that clusters reach from outside, without a slash at the end."""

    public_url: str  # of this Sovereign: Git, webhooks
    secret_store_url: str
    secret_store_mount: str = "secret"  # noqa: S105  (the place of an engine)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformFacts:
    """One Environment as the platform sees it. ``rules`` None: it has no policy."""

    environment: EnvironmentFacts
    capacity: Footprint
    rules: Sequence[Mapping[str, Any]] | None = None

    @property
    def cluster_file(self) -> str:
        return f"clusters/{self.environment.host_cluster}/{self.environment.name}.yaml"

    @property
    def folder(self) -> str:
        return f"environments/{self.environment.name}"

    @property
    def secret_path(self) -> str:
        """Where the secrets of the platform for this Environment are: outside what Applications may read."""
        return f"system/environments/{self.environment.name}"


def find_fault(facts: PlatformFacts) -> str:
    """Return why these facts cannot be rendered, for staff, or nothing."""
    environment = facts.environment
    name = environment.name[:80]
    is_slug = re.fullmatch(names.ORGANIZATION, environment.organization)
    if not is_slug or environment.organization.rpartition("-")[2] in names.ENVIRONMENT_TYPES:
        return _("%(name)s: the slug of the Organization breaks the naming rule.") % {"name": name}
    is_name = re.fullmatch(names.ENVIRONMENT, environment.name)
    if not is_name or environment.name != f"{environment.organization}-{environment.env_type}":
        return _("%(name)s is not the name of an Environment of this Organization and type.") % {"name": name}
    if environment.vcluster != environment.organization or environment.vcluster in RESERVED_NAMESPACES:
        return _("%(name)s: its namespace in the host cluster belongs to the platform.") % {"name": name}
    if not re.fullmatch(HOST_CLUSTER, environment.host_cluster):
        return _("%(name)s: the name of the host cluster breaks the naming rule.") % {"name": name}
    if min(facts.capacity.memory_mib, facts.capacity.cpu_milli, facts.capacity.disk_gib) < 1:
        return _("%(name)s: the capacity of its Plan is not above zero on every axis.") % {"name": name}
    return ""
