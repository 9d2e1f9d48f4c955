"""What a ``blueprint.yaml`` says, as frozen data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from marketplace.selectors.capacity import Footprint


@dataclass(frozen=True, slots=True)
class Card:
    title: str
    tagline_en: str
    tagline_ar: str
    category: str
    icon: str
    license: str
    documentation: str
    tags: tuple[str, ...]
    screenshots: tuple[str, ...]
    languages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dependency:
    """One edge: ``range`` is npm-style and bounded, ``sharing`` is ``shared``, ``dedicated`` or ``singleton``.

    ``when`` is a condition on the configuration (empty: always). Of ``values`` the names are judged when it is
    published; nothing hands them to the service yet.
    """

    blueprint: str
    range: str
    alias: str
    sharing: str
    when: str = ""
    values: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Overlay:
    """One size: what it needs (None: as the Blueprint says) and, of a Helm chart, its values."""

    footprint: Footprint | None
    values: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Manifests:
    """Where the manifests lie: ``kind`` is ``Kustomize`` or ``HelmChart``, ``path`` a folder of the Blueprint."""

    kind: str
    path: str
    overlays: Mapping[str, Overlay] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Placement:
    modes: tuple[str, ...]
    min_regions: int
    max_regions: int


@dataclass(frozen=True, slots=True)
class Upgrades:
    """Ranges of versions that may move here, and of those that never may."""

    allowed_from: tuple[str, ...] = ()
    blocks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rotation:
    """One secret that is renewed: ``name`` is that of the rendered secret, ``ttl_days`` 1 to 365."""

    kind: str
    name: str
    ttl_days: int


@dataclass(frozen=True, slots=True)
class Observability:
    metrics: str
    logs: str
    traces: str


@dataclass(frozen=True, slots=True)
class Owner:
    team: str
    contact: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    name: str
    port: int
    protocol: str
    public: bool


@dataclass(frozen=True, slots=True)
class Exposes:
    """What a Blueprint offers to its dependents."""

    endpoints: tuple[Endpoint, ...]
    secret_keys: tuple[str, ...]
    sharing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Contract:
    """A checked ``blueprint.yaml``. ``document`` is the same as plain data, for storage and rendering."""

    name: str
    version: str
    kind: str
    visibility: str
    card: Card
    footprint: Footprint
    monthly_minor: int
    config_schema: dict[str, Any]
    depends: tuple[Dependency, ...]
    exposes: Exposes | None
    owner: Owner
    placement: Placement
    manifests: Manifests | None
    upgrades: Upgrades
    rotation: tuple[Rotation, ...]
    observability: Observability
    document: dict[str, Any]

    @property
    def manifests_path(self) -> str:
        return self.manifests.path if self.manifests else ""
