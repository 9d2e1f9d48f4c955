"""What rendering is given. Services build these from rows; nothing here reads anything by itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from catalyst.core.errors import DomainError

#: Rises when equal facts would give other bytes; it arrives in each Environment as its own "re-render" Change.
RENDERER_VERSION: Final = "1"
LAYOUT_VERSION: Final = 1

#: The files of one Blueprint version by their path in its folder: ``blueprint.yaml``, ``manifests/base/…``.
BlueprintFiles = Mapping[str, bytes]
#: What ``catalyst.core.gitops.build`` does; injected, so that rendering stays pure given its answer.
Kustomize = Callable[[Mapping[str, bytes]], bytes]


class ManifestsRefused(DomainError):
    """The desired state cannot be rendered, or what came out breaks a rule; nothing is written."""

    code = "manifests_refused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentFacts:
    """The Environment and where it runs. Names are slugs of the glossary, never display names."""

    name: str  # "acme-prod"
    env_type: str  # "prod"
    uuid: str
    organization: str  # "acme"
    sovereign: str  # "omantel": a label value, so a slug
    sovereign_domain: str  # "cloud.example.om"
    vcluster: str  # the Organization's slug in its host cluster
    host_cluster: str  # "hz-fsn-rtz-prod"
    building_block: str = "rtz"
    readme: str = ""  # free text of the members; empty: a short default
    code_owners: str = ""  # the whole CODEOWNERS file; empty: the platform's default

    @property
    def flux_namespace(self) -> str:
        return f"env-{self.name}"

    @property
    def secret_store(self) -> str:
        return f"env-{self.name}"

    def namespace(self, application: str) -> str:
        return f"{self.env_type}-{application}"

    def service_host(self, application: str) -> str:
        return f"app.{self.namespace(application)}.svc.cluster.local"

    def secret_path(self, application: str) -> str:
        return f"org/{self.organization}/env/{self.env_type}/{application}"

    @property
    def region(self) -> str:
        """Provider and region of the host cluster, like "hz-fsn"."""
        return self.host_cluster.removesuffix(f"-{self.building_block}-{self.env_type}")

    def default_hostname(self, application: str) -> str:
        return f"{application}.{self.name}.{self.sovereign_domain}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LockEntry:
    """One resolved Application: the exact version, where it came from, who asked, what it is bound to."""

    application: str
    blueprint: str
    version: str
    source: str  # public | sovereign | org
    ref: str
    digest: str  # sha256:…
    requested_by: tuple[str, ...] = ()  # names of Applications; empty: a person asked
    bindings: Mapping[str, str] = field(default_factory=dict)  # alias → application of the same lock
    registry: str = ""  # repository of a registry that has ``digest``; empty: the files are only here


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """The resolved graph of an Environment; the order of entries does not matter."""

    entries: tuple[LockEntry, ...]
    resolver_version: str
    index_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What was asked for one Application: only what the user set. Every lock entry has exactly one, services too."""

    application: str
    blueprint: str
    constraint: str
    size: str = "small"
    config: Mapping[str, Any] = field(default_factory=dict)
    told: Mapping[str, Any] = field(default_factory=dict)  # values of those that need it; ``config`` wins
    bindings: Mapping[str, str] = field(default_factory=dict)  # alias → application, only those the user chose
    state: str = "active"  # active | paused
    placement_mode: str = "single-region"
    regions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderSettings:
    """What the platform decides for every Environment alike."""

    renderer_version: str = RENDERER_VERSION
    service_account: str = "applications"  # runs what Flux applies; the platform makes it
