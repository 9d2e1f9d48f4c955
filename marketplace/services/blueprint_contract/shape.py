"""What a ``blueprint.yaml`` says, as frozen data."""

from dataclasses import dataclass
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
    """One edge: ``range`` is npm-style and bounded, ``sharing`` is ``shared`` or ``dedicated``."""

    blueprint: str
    range: str
    alias: str
    sharing: str


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
    manifests_path: str
    document: dict[str, Any]
