"""What a Bundle means today: computed from what its members are, never stored.

Source: catalog.md §9 of the design.
"""

from collections.abc import Collection, Iterable

from marketplace.models import Availability, Bundle

#: A Bundle can be bought when at least this many of its members can.
MINIMUM_MEMBERS = 3


def members_today(bundle: Bundle, for_sale: Collection[str]) -> tuple[str, ...]:
    """Return the names (``bp-…``) that it installs today, in display order."""
    return tuple(f"bp-{slug}" for slug in bundle.members if f"bp-{slug}" in for_sale)


def is_for_sale(bundle: Bundle, for_sale: Collection[str]) -> bool:
    """Tell whether staff allow it and enough of its members can be bought."""
    is_allowed = bundle.state == Availability.NOW and not bundle.is_retired()
    return is_allowed and len(members_today(bundle, for_sale)) >= MINIMUM_MEMBERS


def best_bundle(bundles: Iterable[Bundle], *, chosen: Collection[str], for_sale: Collection[str]) -> Bundle | None:
    """Return the Bundle with the highest discount whose members of today are all chosen: one per Order."""
    complete = [
        bundle
        for bundle in bundles
        if is_for_sale(bundle, for_sale) and set(members_today(bundle, for_sale)) <= set(chosen)
    ]
    return min(complete, key=lambda bundle: (-bundle.discount_percent, bundle.slug), default=None)
