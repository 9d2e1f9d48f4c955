"""Environments as the platform's repository sees them, in a test's own data folder."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from catalyst.core.gitops.repository import BareRepository, Commit, open_repository
from marketplace.manifests.facts import EnvironmentFacts
from marketplace.manifests.platform_facts import PlatformFacts, PlatformSettings
from marketplace.selectors.capacity import Footprint
from marketplace.services.platform_repository import platform_repository_path

NOW = datetime(2026, 11, 24, 12, 0, 0, 654321, tzinfo=UTC)
SETTINGS = PlatformSettings(
    public_url="https://cloud.example.om", secret_store_url="https://openbao.cloud.example.om", secret_store_mount="kv"
)
PLAN_M = Footprint(memory_mib=8192, cpu_milli=4000, disk_gib=100)


def facts_of(organization: str = "acme", env_type: str = "prod", **changes: Any) -> PlatformFacts:
    """Return the facts of one Environment; keywords replace those of its ``EnvironmentFacts``."""
    environment = EnvironmentFacts(
        name=f"{organization}-{env_type}",
        env_type=env_type,
        uuid="5c7c2f5e-4d52-4b55-9a0a-9f0d6d1c7a11",
        organization=organization,
        sovereign="cloud.example.om",
        sovereign_domain="cloud.example.om",
        vcluster=organization,
        host_cluster=f"hz-fsn-rtz-{env_type}",
    )
    return PlatformFacts(environment=replace(environment, **changes), capacity=PLAN_M)


def platform_repository() -> BareRepository:
    return open_repository(platform_repository_path())


def platform_history() -> list[Commit]:
    """Return the commits of main, oldest first."""
    if not platform_repository_path().exists():
        return []
    head = platform_repository().head()
    return list(platform_repository().log_first_parent(head))[::-1] if head else []


def platform_tree() -> dict[str, bytes]:
    head = platform_repository().head()
    assert head is not None
    return platform_repository().read_tree(head)
