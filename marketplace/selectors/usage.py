"""Which Applications of an Organization run a Blueprint, across its Environments, and for whom.

Source: docs/blueprints.md, "Life of a version".
"""

from collections.abc import Collection
from dataclasses import dataclass

from marketplace.models import Application
from tenancy.models import Organization


@dataclass(frozen=True, slots=True)
class Use:
    """One Application. ``needed_by`` names the Applications that it came along with; empty: somebody chose it."""

    application: str
    environment: str
    env_type: str
    version: str
    source: str
    needed_by: tuple[str, ...]

    @property
    def is_direct(self) -> bool:
        return not self.needed_by


def applications_using(
    organization: Organization, blueprint: str, *, env_types: Collection[str] | None = None
) -> tuple[Use, ...]:
    """Return the Organization's Applications of the Blueprint with this name, by Environment and name.

    ``env_types`` narrows to what a member may see; None means every Environment. What is being installed counts, what
    is being removed does not.
    """
    rows = Application.objects.filter(
        organization=organization, removed_by=None, blueprint_version__blueprint__name=blueprint
    )
    if env_types is not None:
        rows = rows.filter(environment__env_type__in=sorted(env_types))
    facts = rows.order_by("environment__name", "slug").values_list(
        "slug",
        "environment__name",
        "environment__env_type",
        "blueprint_version__version",
        "blueprint_version__blueprint__source",
        "requested_by",
    )
    return tuple(Use(*row[:-1], needed_by=tuple(row[-1])) for row in facts)
