"""What a Bundle means today: computed from what its members are, never stored.

Source: catalog.md §9 of the design.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol, TypeVar

from marketplace.models import Availability

#: A Bundle can be bought when at least this many of its members can.
MINIMUM_MEMBERS = 3


class BundleLike(Protocol):
    """A Bundle that is not retired, as a row of the ORM or of the offer."""

    @property
    def slug(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def members(self) -> Sequence[str]: ...
    @property
    def discount_percent(self) -> int: ...


AnyBundle = TypeVar("AnyBundle", bound=BundleLike)


def members_today(bundle: BundleLike, for_sale: Collection[str]) -> tuple[str, ...]:
    """Return the names (``bp-…``) that it installs today, in display order."""
    return tuple(f"bp-{slug}" for slug in bundle.members if f"bp-{slug}" in for_sale)


def is_for_sale(bundle: BundleLike, for_sale: Collection[str]) -> bool:
    """Tell whether staff allow it and enough of its members can be bought."""
    return bundle.state == Availability.NOW and len(members_today(bundle, for_sale)) >= MINIMUM_MEMBERS


def best_bundle(
    bundles: Iterable[AnyBundle], *, chosen: Collection[str], for_sale: Collection[str]
) -> AnyBundle | None:
    """Return the Bundle with the highest discount whose members of today are all chosen: one per Order."""
    complete = [
        bundle
        for bundle in bundles
        if is_for_sale(bundle, for_sale) and set(members_today(bundle, for_sale)) <= set(chosen)
    ]
    return min(complete, key=lambda bundle: (-bundle.discount_percent, bundle.slug), default=None)
