"""The shipped catalogue in the test database, and Blueprints of a test's own."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.conf import settings

from marketplace.models import Blueprint, BlueprintVersion, Category, Price
from marketplace.selectors.version_ranges import parse_version
from marketplace.services.sync_catalog import SyncReport, sync_catalog
from tenancy.models import Organization, User

SHIPPED = Path(settings.ROOT) / "blueprints"
START = datetime(2026, 11, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def load_catalogue() -> SyncReport:
    """Load what ships, as the first start of a Sovereign does."""
    return sync_catalog(blueprints_root=SHIPPED, now=START)


def a_person(**values: Any) -> User:
    """Make somebody who can act."""
    return User.objects.create_user(f"person-{uuid4()}@example.om", **values)


def add_blueprint(
    slug: str,
    *,
    version: str = "1.0.0",
    price: int | None = 0,
    depends: list[dict[str, str]] | None = None,
    footprint: tuple[int, int, int] = (100, 100, 1),
    organization: Organization | None = None,
    **values: Any,
) -> Blueprint:
    """Add one sold Blueprint with one version and a price."""
    row = Blueprint.objects.create(
        slug=slug,
        name=f"bp-{slug}",
        title=slug.title(),
        category=Category.objects.first() or Category.objects.create(slug="cms", title_en="Content"),
        organization=organization,
        **{
            "memory_mib": footprint[0],
            "cpu_milli": footprint[1],
            "disk_gib": footprint[2],
            "state": "now",
            **({"source": "org", "visibility": "private"} if organization else {}),
            **values,
        },
    )
    add_version(row, version, depends=depends, footprint=footprint)
    if price is not None:
        Price.objects.create(
            kind="blueprint", reference=row.name, currency_id="OMR", amount_minor=price, valid_from=START
        )
    return row


def add_version(
    blueprint: Blueprint,
    version: str,
    *,
    depends: list[dict[str, str]] | None = None,
    footprint: tuple[int, int, int] = (100, 100, 1),
) -> BlueprintVersion:
    """Publish one version with only what the catalogue reads."""
    parsed = parse_version(version)
    needed = dict(zip(("memoryMiB", "cpuMilli", "diskGiB"), footprint, strict=True))
    return BlueprintVersion.objects.create(
        blueprint=blueprint,
        version=version,
        major=parsed.major,
        minor=parsed.minor,
        patch=parsed.patch,
        prerelease=".".join(parsed.prerelease),
        digest=f"sha256:{'0' * 64}",
        contract={"spec": {"footprint": needed, "depends": depends or []}},
        files={},
    )
