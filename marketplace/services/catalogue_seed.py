"""The shipped catalogue, read from ``marketplace/catalogue/`` and ``blueprints/``: no database here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalyst.core.gitops.yaml import load
from marketplace.models import Availability, Blueprint
from marketplace.services.blueprint_folder import BlueprintFolder, read_folder

_SEED = Path(__file__).resolve().parent.parent / "catalogue"
_SHELVES = ("platform", "products")


@dataclass(frozen=True, slots=True)
class SeedRow:
    """One row to be: its slug, column values, and the first price (minor units of OMR) if it has one."""

    slug: str
    values: dict[str, Any]
    price_minor: int | None = None
    folder: BlueprintFolder | None = None


def read_rows(name: str) -> list[SeedRow]:
    """Read categories, plans, addons, bundles or industries in display order."""
    return [_row(item, position) for position, item in enumerate(load((_SEED / f"{name}.yaml").read_bytes()), start=1)]


def read_blueprints(blueprints_root: Path) -> list[SeedRow]:
    """Read all public Blueprints, backing services first; those with a folder take card and footprint from it.

    :raises ContractRefused: a folder breaks the contract.
    """
    folders = {
        path.parent.name: read_folder(path.parent)
        for shelf in _SHELVES
        for path in sorted((blueprints_root / shelf).glob("*/blueprint.yaml"))
    }
    announced = {item["slug"]: item for item in load((_SEED / "blueprints.yaml").read_bytes())}
    for slug in folders:
        announced.setdefault(slug, {"slug": slug})
    rows = [
        _blueprint(item, folders.get(slug), position)
        for position, (slug, item) in enumerate(announced.items(), start=1)
        if slug in folders or "card" in item
    ]
    return sorted(rows, key=lambda row: row.values["kind"] != Blueprint.Kind.SERVICE)


def _row(item: dict[str, Any], position: int) -> SeedRow:
    values = {key: value for key, value in item.items() if key not in {"slug", "price_minor"}}
    for key in ("title", "audience"):
        if key in values:
            words = values.pop(key)
            values |= {f"{key}_en": words["en"], f"{key}_ar": words.get("ar", "")}
    return SeedRow(item["slug"], values | {"position": position}, item.get("price_minor"))


def _blueprint(item: dict[str, Any], folder: BlueprintFolder | None, position: int) -> SeedRow:
    slug = item["slug"]
    shelf = {key: value for key, value in item.items() if key not in {"slug", "card"}}
    values = {
        "color": "",
        "related": [],
        "minimum_plan": "",
        "recommended_plan": "",
        "featured": False,
        "popular": False,
        **shelf,
        **(card_of_folder(folder) if folder else _card_of_seed(item["card"])),
        "name": f"bp-{slug}",
        "state": Availability.NOW if folder else Availability.SOON,
        "position": position,
    }
    is_service = values["kind"] == Blueprint.Kind.SERVICE
    price = None if is_service else (folder.contract.monthly_minor if folder else 0)
    return SeedRow(slug, values, price, folder)


def card_of_folder(folder: BlueprintFolder) -> dict[str, Any]:
    """Return the columns of a Blueprint row that its folder decides."""
    contract = folder.contract
    return {
        "kind": contract.kind,
        "visibility": contract.visibility,
        "title": contract.card.title,
        "tagline_en": contract.card.tagline_en,
        "tagline_ar": contract.card.tagline_ar,
        "description_en": folder.text("card/description.md"),
        "description_ar": folder.text("card/description.ar.md"),
        "category": contract.card.category,
        "icon": folder.text(contract.card.icon),
        "tags": list(contract.card.tags),
        "license": contract.card.license,
        "documentation": contract.card.documentation,
        "memory_mib": contract.footprint.memory_mib,
        "cpu_milli": contract.footprint.cpu_milli,
        "disk_gib": contract.footprint.disk_gib,
    }


def _card_of_seed(card: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": card.get("kind", Blueprint.Kind.APPLICATION),
        "visibility": Blueprint.Visibility.LISTED,
        "title": card["title"],
        "tagline_en": card["tagline"]["en"],
        "tagline_ar": card["tagline"]["ar"],
        "category": card["category"],
        "tags": card["tags"],
        "license": card["license"],
        **card["footprint"],
    }
